"""What OPTIONS answers."""

from typing import TYPE_CHECKING, Any

from rest_framework.metadata import BaseMetadata
from rest_framework.request import Request

if TYPE_CHECKING:  # DRF imports this module while it makes APIView
    from rest_framework.views import APIView


class AllowedMethods(BaseMetadata):
    """The same as the `Allow` header; the OpenAPI document describes the rest."""

    def determine_metadata(self, request: Request, view: "APIView") -> dict[str, Any]:
        return {"methods": view.allowed_methods}

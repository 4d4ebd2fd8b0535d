"""What all viewsets of an organization's things have in common."""

import uuid
from typing import Any

from django.conf import settings
from django.utils.module_loading import import_string
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.viewsets import GenericViewSet

from postfuze.api import ids
from postfuze.api.problems import Problem


class OrganizationViewSet(GenericViewSet):
    """Subclasses give `queryset` scoped by `organization_id` and `mode`, a serializer, a filterset and the scope."""

    lookup_field = "id"
    lookup_value_regex = "[^/]+"
    uuid_kwargs = ("id", "pk", "target_id", "import_id")
    write_scope: str | None = None
    throttle_bucket: str | None = None

    @property
    def organization_id(self) -> uuid.UUID:
        return self.request.auth.organization_id

    @property
    def mode(self) -> str:
        return self.request.auth.mode

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        self.check_scope(request)
        for name in self.uuid_kwargs:
            if name in self.kwargs:
                self.kwargs[name] = as_uuid(self.kwargs[name])

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        """Whatever changed something by a key is told to the audit."""
        if request.method not in SAFE_METHODS and response.status_code < 400:
            given = request.resolver_match.kwargs if request.resolver_match else {}
            import_string(settings.API_AUDIT)(request, response, dict(given))
        return super().finalize_response(request, response, *args, **kwargs)

    def check_scope(self, request: Request) -> None:
        if self.write_scope is None or request.method in SAFE_METHODS:
            return
        if not {"*", self.write_scope} & set(request.auth.scopes):
            raise Problem("insufficient_scope", f"The API key lacks the scope {self.write_scope}.")


def as_uuid(value: str | uuid.UUID) -> uuid.UUID:
    """The id in a path; one that is no UUID names nothing."""
    try:
        return ids.parse(value)
    except ValueError:
        raise Problem("not_found") from None

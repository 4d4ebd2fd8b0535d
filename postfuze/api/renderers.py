"""JSON out, with instants as the contract writes them."""

from datetime import datetime
from typing import Any

from rest_framework import renderers
from rest_framework.utils import encoders

from postfuze.api import times


class JSONEncoder(encoders.JSONEncoder):
    def default(self, obj: Any) -> Any:
        return times.render(obj) if isinstance(obj, datetime) else super().default(obj)


class JSONRenderer(renderers.JSONRenderer):
    encoder_class = JSONEncoder


def to_bytes(data: Any) -> bytes:
    """The API's JSON, for bodies that do not leave through a view: webhooks, problems."""
    return JSONRenderer().render(data)

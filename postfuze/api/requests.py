"""The request as the web process builds it, before any middleware could answer for what is wrong with it."""

from typing import Any

from django.core.handlers.wsgi import WSGIHandler, WSGIRequest


class Request(WSGIRequest):
    """UTF-8 whatever the content type claims, and no failure on claims that cannot be understood."""

    def _set_content_type_params(self, meta: dict[str, Any]) -> None:
        self.content_type = meta.get("CONTENT_TYPE", "").partition(";")[0].strip().lower()
        try:
            super()._set_content_type_params({"CONTENT_TYPE": without_charset(meta.get("CONTENT_TYPE", ""))})
        except (LookupError, ValueError):
            self.content_params = {}


def without_charset(content_type: str) -> str:
    return ";".join(part for part in content_type.split(";") if "charset" not in part.lower())


class Handler(WSGIHandler):
    request_class = Request

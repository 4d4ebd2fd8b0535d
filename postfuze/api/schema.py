"""The OpenAPI document."""

from collections.abc import Iterator
from functools import cache
from typing import Any

from django.http import HttpResponse
from drf_spectacular.extensions import OpenApiAuthenticationExtension, OpenApiSerializerFieldExtension
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.views import APIView

from postfuze.api.problems import CODES, CONTENT_TYPE, TITLES
from postfuze.api.renderers import to_bytes

TIME = {"type": "string", "format": "date-time"}


class ApiKeyScheme(OpenApiAuthenticationExtension):
    target_class = "accounts.authentication.ApiKeyAuthentication"
    name = "apiKey"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return {"type": "http", "scheme": "bearer", "description": "sk_live_… or sk_test_…"}


class TimeFieldSchema(OpenApiSerializerFieldExtension):
    target_class = "postfuze.api.times.TimeField"

    def map_serializer_field(self, auto_schema: Any, direction: str) -> dict[str, Any]:
        if direction == "response":
            return TIME
        return {"oneOf": [TIME, {"type": "number", "minimum": 0, "maximum": 4133980799, "description": "unix seconds"}]}


def only_the_api(endpoints: list[Any], **_: Any) -> list[Any]:
    return [endpoint for endpoint in endpoints if endpoint[0].startswith("/api/")]


def declare_problems(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Every operation can answer every error: where a request ends is not known from its serializer."""
    components = result.setdefault("components", {})
    components.setdefault("schemas", {})["Problem"] = _problem_schema()
    reference = {"schema": {"$ref": "#/components/schemas/Problem"}}
    components["responses"] = {
        f"Problem{status}": {"description": title, "content": {CONTENT_TYPE: reference}}
        for status, title in TITLES.items()
    }
    for operation in _operations(result):
        for status in TITLES:
            operation["responses"].setdefault(str(status), {"$ref": f"#/components/responses/Problem{status}"})
    return result


def _problem_schema() -> dict[str, Any]:
    text = {"type": "string"}
    error = {"type": "object", "required": ["field", "message"], "properties": {"field": text, "message": text}}
    return {
        "type": "object",
        "description": "RFC 9457",
        "required": ["type", "title", "status", "detail", "code"],
        "properties": {
            "type": {"type": "string", "const": "about:blank"},
            "title": text,
            "status": {"type": "integer"},
            "detail": text,
            "code": {"type": "string", "enum": list(CODES)},
            "errors": {"type": "array", "items": error},
        },
    }


def forbid_unknown_fields(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Bodies are strict, and say so."""
    schemas = result["components"]["schemas"]
    pending = [body for operation in _operations(result) for body in _references(operation.get("requestBody", {}))]
    seen: set[str] = set()
    while pending:
        name = pending.pop()
        if name in seen:
            continue
        seen.add(name)
        schema = schemas[name]
        if schema.get("type") == "object":
            schema.setdefault("additionalProperties", False)
        pending.extend(_references(schema))
    return result


def _operations(result: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for path in result["paths"].values():
        yield from (operation for operation in path.values() if "responses" in operation)


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if "$ref" in node:
            yield node["$ref"].rpartition("/")[2]
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)


@cache
def document() -> bytes:
    return to_bytes(SchemaGenerator().get_schema(request=None, public=True))


class OpenApiView(APIView):
    authentication_classes = ()
    permission_classes = ()

    @extend_schema(exclude=True)
    def get(self, request: Request) -> HttpResponse:
        headers = {"Cache-Control": "public, max-age=300"}
        return HttpResponse(document(), content_type="application/json", headers=headers)

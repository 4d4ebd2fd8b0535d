"""Keyset pagination with signed cursors: one query a page, no count, exact to the microsecond."""

import re
import uuid
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from django.core import signing
from django.core.exceptions import ValidationError
from django.db.models import Field, Q, QuerySet
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response

from postfuze.api.problems import Problem, invalid

if TYPE_CHECKING:  # DRF imports this module while it makes APIView
    from rest_framework.views import APIView

DIGITS = re.compile(r"\d{1,9}", re.ASCII)


class KeysetPagination(BasePagination):
    """`order` names fields of the model, `-` for descending, and ends with one that makes rows distinct."""

    order: Sequence[str] = ("-created_at", "-id")
    default_limit = 25
    max_limit = 100
    carried: Sequence[Any] = ()
    """What a walk's cursors bear beside their places."""

    def paginate_queryset(self, queryset: QuerySet[Any], request: Request, view: "APIView | None" = None) -> list[Any]:
        limit = self.limit(request)
        salt = self.salt(request, view)
        queryset = queryset.order_by(*self.order)
        if cursor := request.query_params.get("cursor"):
            queryset = queryset.filter(after(self.order, self.position(cursor, salt, queryset)))
        rows = list(queryset[: limit + 1])
        self.next_cursor = self.cursor(rows[limit - 1], salt) if len(rows) > limit else None
        return rows[:limit]

    def get_paginated_response(self, data: Any) -> Response:
        return Response({"data": data, "next_cursor": self.next_cursor})

    def limit(self, request: Request) -> int:
        text = request.query_params.get("limit")
        if text is None:
            return self.default_limit
        if not DIGITS.fullmatch(text) or not 1 <= int(text) <= self.max_limit:
            raise invalid("limit", f"Expected a whole number from 1 to {self.max_limit}.")
        return int(text)

    def salt(self, request: Request, view: "APIView | None") -> str:
        """A cursor is good for the listing and the organization it was made for."""
        listing = [type(view).__name__, getattr(view, "action", None), *map(str, getattr(view, "kwargs", {}).values())]
        owner = [getattr(request.auth, "organization_id", None), getattr(request.auth, "mode", None)]
        return ":".join(map(str, ["cursor", *listing, *owner, *self.order]))

    def cursor(self, row: Any, salt: str) -> str:
        place = [_plain(_value(row, name.lstrip("-"))) for name in self.order]
        return signing.dumps([*place, *map(_plain, self.carried)], salt=salt)

    def position(self, cursor: str, salt: str, queryset: QuerySet[Any]) -> list[Any]:
        fields = [_field(queryset, name.lstrip("-")) for name in self.order]
        try:
            place = self.load(cursor, salt)[: len(fields)]
            return [field.to_python(value) for field, value in zip(fields, place, strict=True)]
        except (ValidationError, TypeError, ValueError):
            raise _not_ours() from None

    def load(self, cursor: str, salt: str) -> list[Any]:
        """What a cursor bears: its place, then what is carried."""
        try:
            values = signing.loads(cursor, salt=salt)
        except signing.BadSignature:
            raise _not_ours() from None
        return list(values) if isinstance(values, list) else []

    def get_schema_operation_parameters(self, view: "APIView") -> list[dict[str, Any]]:
        limit = {"type": "integer", "minimum": 1, "maximum": self.max_limit, "default": self.default_limit}
        return [
            {"name": "limit", "in": "query", "required": False, "schema": limit},
            {"name": "cursor", "in": "query", "required": False, "schema": {"type": "string"}},
        ]

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        cursor = {"type": ["string", "null"], "description": "Pass it as `cursor` for the next page."}
        properties = {"data": schema, "next_cursor": cursor}
        return {"type": "object", "required": ["data", "next_cursor"], "properties": properties}


def _not_ours() -> Problem:
    return Problem("invalid_cursor", errors=[{"field": "cursor", "message": "Not a cursor of this listing."}])


def after(order: Sequence[str], position: Sequence[Any]) -> Q:
    """What follows `position`; the redundant bound on the first field is what an index can seek."""
    beyond, equal = Q(), Q()
    for name, value in zip(order, position, strict=True):
        field, lookup = name.lstrip("-"), "lt" if name.startswith("-") else "gt"
        beyond |= equal & Q(**{f"{field}__{lookup}": value})
        equal &= Q(**{field: value})
    first, lookup = order[0].lstrip("-"), "lte" if order[0].startswith("-") else "gte"
    return Q(**{f"{first}__{lookup}": position[0]}) & beyond


def _value(row: Any, name: str) -> Any:
    return row[name] if isinstance(row, Mapping) else getattr(row, name)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime | date):
        return value.isoformat()
    return str(value) if isinstance(value, uuid.UUID) else value


def _field(queryset: QuerySet[Any], name: str) -> Field:
    """What turns a value of the cursor back into one of the database."""
    if annotation := queryset.query.annotations.get(name):
        return annotation.output_field
    for field in queryset.model._meta.concrete_fields:
        if name in {field.name, field.attname}:
            return field.target_field if field.is_relation else field
    raise LookupError(f"{queryset.model.__name__} has no field {name!r} to order by")

"""Noting who changed what. A write that was done stays done when it cannot be noted: then the log tells of it.

A call of the API is noted by itself, when it has been answered: services end their own transactions, some ask a
platform in between, and what is committed cannot be taken back. What staff and commands do is noted in the transaction
of the change, where it has one.
"""

import getpass
import logging
import time
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import DatabaseError, models, transaction
from django.http import HttpRequest
from django.utils import timezone
from rest_framework.exceptions import APIException
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import Actor, ApiKey, AuditEntry, Organization
from postfuze.api import request_id

logger = logging.getLogger(__name__)

MOST_FIELDS = 50
PAGE = 2000


def record_call(request: Request, response: Response, ids: Mapping[str, Any]) -> None:
    """Note a call of the API that changed something. `ids` are those of its path, as they were given."""
    if not isinstance(request.auth, ApiKey):
        return
    try:
        _write(*_entries_of_call(request, response, request.auth, ids))
    except Exception:  # the write is done: whatever is wrong here must not be its answer
        logger.exception("not in the audit: %s by %s", request.method, request.auth)


def _entries_of_call(request: Request, response: Response, key: ApiKey, ids: Mapping[str, Any]) -> list[AuditEntry]:
    """One for each object, so that each is found by its id."""
    names = {str(value): f"{{{name}}}" for name, value in ids.items()}
    words = [names.get(word, word) for word in request.path.strip("/").split("/")]
    call: dict[str, Any] = {
        "organization_id": key.organization_id,
        "mode": key.mode,
        **_actor(Actor.KEY, key.pk, f"{key} {key.name}".strip()),
        "action": f"{request.method} /{'/'.join(words)}"[:255],
        "fields": _names(_given(request)),
        "status": response.status_code,
        "request_id": request_id.current.get() or "",
    }
    objects = _objects_of(words, getattr(response, "data", None), ids)
    return [AuditEntry(object_kind=kind, object_id=object_id, **call) for kind, object_id in objects]


def _objects_of(words: list[str], answered: Any, ids: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What a call was about: what it answered with, or what its path names last. A token is no id."""
    connected = answered.get("account_ids") if isinstance(answered, dict) else None
    if connected:
        return [("social_account", str(each)) for each in connected]
    told = answered.get("id") if isinstance(answered, dict) else None
    if told is None:
        name = next((name for name in reversed(ids) if not name.endswith("token")), None)
        told = "" if name is None else ids[name]
        words = words[: words.index(f"{{{name}}}")] if f"{{{name}}}" in words else words
    kind = next((word for word in reversed(words) if not word.startswith("{")), "")
    return [(kind.removesuffix("s").replace("-", "_")[:64], str(told)[:64])]


def _given(request: Request) -> Any:
    try:
        return request.data
    except APIException:  # a body that nobody asked for, and that cannot be read
        return None


def _names(given: Any) -> list[str]:
    """The names of the fields that were given, without what was given in them."""
    names: Iterable[Any] = given.keys() if isinstance(given, dict) else ()
    return sorted(str(name)[:100] for name in names)[:MOST_FIELDS]


def record_staff(request: HttpRequest, row: models.Model, verb: str, message: Any = "") -> None:
    """Note what somebody on the staff did to a row. `message` is the admin's own, a text or its list of changes."""
    changes = [each for change in message for each in change.values()] if isinstance(message, list) else []
    fields = [name for each in changes if isinstance(each, dict) for name in each.get("fields", ())]
    kind = _kind(row)
    _write(
        AuditEntry(
            **_owner(row),
            **_actor(Actor.STAFF, request.user.pk, request.user.get_username()),
            action=f"admin:{verb} {kind}",
            detail=message[:255] if isinstance(message, str) else "",
            object_kind=kind,
            object_id=str(row.pk)[:64],
            fields=_names(dict.fromkeys(fields)),
            request_id=request_id.current.get() or "",
        )
    )


def record_command(name: str, row: models.Model, detail: str = "") -> None:
    """Note what a command did to a row, in the name of whoever is logged in to the machine."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        user = ""
    entry = AuditEntry(
        **_owner(row),
        **_actor(Actor.COMMAND, user, f"{name} by {user or 'somebody'}"),
        action=f"command:{name}",
        detail=detail[:255],
        object_kind=_kind(row),
        object_id=str(row.pk),
    )
    _write(entry)


def _kind(row: models.Model) -> str:
    return str(row._meta.verbose_name).lower().replace(" ", "_")[:64]


def _actor(kind: Actor, pk: Any, label: str) -> dict[str, str]:
    return {"actor_kind": kind, "actor_id": str(pk)[:64], "actor_label": label[:255]}


def _owner(row: Any) -> dict[str, Any]:
    """Whose row it is, by itself or by its post."""
    owner = row if hasattr(row, "organization_id") else getattr(row, "post", row)
    organization_id = row.pk if isinstance(row, Organization) else getattr(owner, "organization_id", None)
    return {"organization_id": organization_id, "mode": getattr(owner, "mode", "")}


def _write(*entries: AuditEntry) -> None:
    try:
        with transaction.atomic():  # so that a failure does not take a transaction around it along
            AuditEntry.objects.bulk_create(entries)
    except DatabaseError:
        names = [field.attname for field in AuditEntry._meta.concrete_fields]
        for entry in entries:
            logger.exception("not in the audit: %s", {name: getattr(entry, name) for name in names})


def forget_old(*, until: float) -> int:
    """Remove entries older than `AUDIT_KEEP`, until `until` (of `time.monotonic()`). Returns how many."""
    oldest: timedelta = settings.AUDIT_KEEP
    old = AuditEntry.objects.filter(at__lt=timezone.now() - oldest).order_by("at", "id")
    removed, more = 0, True
    while more:
        ids = list(old.values_list("pk", flat=True)[:PAGE])
        removed += AuditEntry.objects.filter(pk__in=ids).delete()[0]
        more = len(ids) == PAGE and time.monotonic() < until
    return removed

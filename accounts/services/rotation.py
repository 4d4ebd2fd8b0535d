"""Moving stored secrets to the newest encryption key."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from django.db import models, transaction

from accounts.models import ConnectSession, SocialAccount, SocialNetwork, WebhookEndpoint
from accounts.services import crypto

logger = logging.getLogger(__name__)

SECRETS: Sequence[tuple[type[models.Model], Sequence[str]]] = (
    (SocialAccount, ("access_token", "refresh_token", "app_password")),
    (SocialNetwork, ("client_secret",)),
    (ConnectSession, ("verifier", "payload")),
    (WebhookEndpoint, ("secret", "previous_secret", "older_secrets")),
)
CHUNK = 500


@dataclass
class Rotation:
    """How many values were re-encrypted, and how many no key opens."""

    rotated: int = 0
    failed: int = 0


def rotate_all() -> Rotation:
    """Re-encrypt every secret, row by row under a lock, so that a refresh in the meantime is never overwritten."""
    done = Rotation()
    for model, fields in SECRETS:
        for pk in _ids(model):
            _rotate_row(model, pk, fields, done)
    return done


def _ids(model: type[models.Model]) -> Iterator[object]:
    """All rows' ids, a chunk at a time: SQLite cannot write while an older read is still open."""
    ids = model._default_manager.values_list("pk", flat=True).order_by("pk")
    chunk = list(ids[:CHUNK])
    while chunk:
        yield from chunk
        chunk = list(ids.filter(pk__gt=chunk[-1])[:CHUNK])


def _rotate_row(model: type[models.Model], pk: object, fields: Sequence[str], done: Rotation) -> None:
    with transaction.atomic():
        row = model._default_manager.select_for_update().only("pk", *fields).filter(pk=pk).first()
        if row is None:
            return
        changed: list[str] = []
        for field in fields:
            secret = getattr(row, field)
            try:
                if secret:
                    setattr(row, field, crypto.rotate(secret))
                    changed.append(field)
            except crypto.Undecryptable:
                done.failed += 1
                logger.error("no key opens %s of %s %s", field, model._meta.verbose_name, pk)
        if changed:
            row.save(update_fields=changed)
            done.rotated += len(changed)

"""Creating, finding, rotating and revoking API keys."""

import base64
import hashlib
import hmac
import re
import secrets
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone
from django.utils.crypto import salted_hmac

from accounts.models import ApiKey, Mode, Organization

VALID = "valid"
SCOPES = ("posts:write", "accounts:write", "webhooks:write")
_FORM = re.compile(r"sk_(live|test)_([a-z0-9]{12})([A-Za-z0-9_-]{43})")
_USED_EVERY = timedelta(minutes=1)
_LONGEST_NAME = 200
_ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"


def create_key(
    organization: Organization,
    *,
    mode: str = Mode.LIVE,
    scopes: list[str] | None = None,
    name: str = "",
    expires_at: datetime | None = None,
    seed: str = "",
) -> tuple[ApiKey, str]:
    """A new key and its text, which is shown once and not kept. ValueError for an unknown scope or too long a name.

    With a `seed` the key is derived from it and the SECRET_KEY, and found if it is there already.
    """
    scopes = ["*"] if scopes is None else scopes
    for scope in scopes:
        if scope != "*" and scope not in SCOPES:
            raise ValueError(f"unknown scope {scope}: expected * or one of {', '.join(SCOPES)}")
    if len(name) > _LONGEST_NAME:
        raise ValueError(f"a key's name has at most {_LONGEST_NAME} characters")
    prefix, secret = _derived(seed) if seed else _random()
    key, _ = ApiKey.objects.get_or_create(
        prefix=prefix,
        secret_hash=_hash(secret),
        defaults={
            "organization": organization,
            "mode": mode,
            "scopes": scopes,
            "name": name,
            "expires_at": expires_at,
        },
    )
    return key, f"sk_{mode}_{prefix}{secret}"


def _random() -> tuple[str, str]:
    return "".join(secrets.choice(_ALPHABET) for _ in range(12)), secrets.token_urlsafe(32)


def _derived(seed: str) -> tuple[str, str]:
    digest = salted_hmac("accounts.services.keys", seed, algorithm="sha512").digest()
    prefix = "".join(_ALPHABET[byte % len(_ALPHABET)] for byte in digest[:12])
    return prefix, base64.urlsafe_b64encode(digest[32:]).decode().rstrip("=")


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()  # 256 random bits need no slow hash


def find_key(text: str) -> ApiKey | None:
    """The valid key that `text` is; None for an unknown, revoked or expired one."""
    form = _FORM.fullmatch(text)
    if form is None:
        return None
    mode, prefix, secret = form.groups()
    key = ApiKey.objects.select_related("organization").filter(prefix=prefix).first()
    if key is None or key.mode != mode or not hmac.compare_digest(key.secret_hash, _hash(secret)):
        return None
    if state_of(key) != VALID:
        return None
    now = timezone.now()
    if key.last_used_at is None or now - key.last_used_at > _USED_EVERY:
        ApiKey.objects.filter(pk=key.pk).update(last_used_at=now)
    return key


def rotate_key(key: ApiKey, *, keep_old_for: timedelta = timedelta(0)) -> tuple[ApiKey, str]:
    """A key that may do the same, and its text, which is shown once; the old one works on for a while.

    ValueError for a key that is no longer valid.
    """
    with transaction.atomic():
        key = ApiKey.objects.select_for_update().select_related(None).get(pk=key.pk)
        if state_of(key) != VALID:
            raise ValueError(f"{key} is {state_of(key)}: make a new key instead")
        given = {"mode": key.mode, "scopes": key.scopes, "name": key.name, "expires_at": _end_given(key)}
        new, text = create_key(key.organization, **given)
        ends_at = timezone.now() + keep_old_for
        if keep_old_for and (key.expires_at is None or ends_at < key.expires_at):
            key.expires_at = ends_at
        ApiKey.objects.filter(pk=key.pk).update(replaced_by=new, expires_at=key.expires_at)
        if not keep_old_for:
            revoke_key(key)
    return new, text


def _end_given(key: ApiKey) -> datetime | None:
    """The end that a key was given, before rotating brought it nearer: the last of its successors has it."""
    while key.replaced_by is not None:
        key = key.replaced_by
    return key.expires_at


def state_of(key: ApiKey) -> str:
    """Whether a key lets anybody in, and why not."""
    if key.revoked_at is not None:
        return "revoked"
    return "expired" if key.expires_at is not None and key.expires_at <= timezone.now() else VALID


def revoke_key(key: ApiKey) -> bool:
    """End a key for good. Returns whether it was not revoked before."""
    return bool(ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=timezone.now()))

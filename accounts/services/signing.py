"""Signing what endpoints are sent, as Standard Webhooks specifies it."""

import base64
import binascii
import secrets
from collections.abc import Iterable
from datetime import datetime

from standardwebhooks import Webhook

PREFIX = "whsec_"
SHORTEST, LONGEST = 24, 64
FORM = f"must be {PREFIX} and the base64 of {SHORTEST} to {LONGEST} bytes"


def new_secret() -> str:
    """A fresh signing secret."""
    return PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def check_secret(text: str) -> str:
    """A caller's own signing secret; ValueError if it is none."""
    encoded = text.removeprefix(PREFIX)
    try:
        key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (ValueError, binascii.Error) as error:
        raise ValueError(FORM) from error
    if not text.startswith(PREFIX) or not SHORTEST <= len(key) <= LONGEST:
        raise ValueError(FORM)
    return text


def headers(message_id: str, body: bytes, valid: Iterable[str], at: datetime) -> dict[str, str]:
    """The three headers of a message; with a signature by each valid secret, so that receivers can change theirs."""
    text = body.decode()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(Webhook(secret).sign(message_id, at, text) for secret in valid),
    }

"""Tokens that describe themselves, so that a restart of the sandbox forgets no grant."""

import base64
import hmac
import json
import secrets
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

# Known to everybody and worth nothing: it only tells the sandbox's own tokens from garbage.
_KEY = b"postfuze sandbox"
_MAC_BYTES = 12
NOTHING = "none"
"""Stands for no scope or no account at all."""


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token says. `family` is one grant; `generation` counts its refreshes; `expires_at` 0 means never.

    `scopes` are those that a person consented to, all if it is empty; `accounts` those that a person's token reaches
    where that is not just the one. Both are separated by commas.
    """

    platform: str
    account_id: str
    kind: str
    family: str
    issued_at: int
    expires_at: int
    generation: int = 0
    extra: str = ""
    scopes: str = ""
    accounts: str = ""

    @property
    def jti(self) -> str:
        """The id of the token within all tokens."""
        return f"{self.family}.{self.generation}"

    def expired(self, now: float) -> bool:
        """Whether the token's time is over."""
        return bool(self.expires_at) and now >= self.expires_at

    def allows(self, scope: str) -> bool:
        """Whether the grant covers a scope."""
        return not self.scopes or scope in self.scopes.split(",")

    def reached(self) -> list[str]:
        """The accounts that the token is good for."""
        if not self.accounts:
            return [self.account_id]
        return [] if self.accounts == NOTHING else self.accounts.split(",")

    def next(self, kind: str, *, now: float, lifetime: float) -> "Claims":
        """The claims of a token of the next generation of this grant."""
        return replace(
            self,
            kind=kind,
            issued_at=int(now),
            expires_at=int(now + lifetime),
            generation=self.generation + 1,
        )


def new_family() -> str:
    """The name of a new grant."""
    return secrets.token_hex(6)


def _mac(data: bytes) -> bytes:
    return hmac.digest(_KEY, data, "sha256")


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _unb64(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)


def sign(claims: Claims, prefix: str = "") -> str:
    """The token as text: a prefix as the platform has it, then one opaque run of letters."""
    data = "\n".join(
        (
            claims.platform,
            claims.account_id,
            claims.kind,
            claims.family,
            str(claims.issued_at),
            str(claims.expires_at),
            str(claims.generation),
            claims.extra,
            *((claims.scopes, claims.accounts) if claims.scopes or claims.accounts else ()),
        )
    ).encode()
    return prefix + _b64(_mac(data)[:_MAC_BYTES] + data)


@lru_cache(maxsize=4096)
def read(token: str, prefix: str = "") -> Claims | None:
    """What a token says, or None if the sandbox did not write it."""
    if not token.startswith(prefix):
        return None
    try:
        blob = _unb64(token[len(prefix) :])
        mac, data = blob[:_MAC_BYTES], blob[_MAC_BYTES:]
        if not hmac.compare_digest(mac, _mac(data)[:_MAC_BYTES]):
            return None
        platform, account_id, kind, family, issued_at, expires_at, generation, *texts = data.decode().split("\n")
    except ValueError:
        return None
    return Claims(platform, account_id, kind, family, int(issued_at), int(expires_at), int(generation), *texts)


def sign_jwt(payload: dict[str, Any]) -> str:
    """A JSON Web Token, HS256."""
    head = _b64(b'{"typ":"JWT","alg":"HS256"}')
    body = f"{head}.{_b64(json.dumps(payload, separators=(',', ':')).encode())}"
    return f"{body}.{_b64(_mac(body.encode()))}"


@lru_cache(maxsize=4096)
def _read_jwt(token: str) -> str | None:
    try:
        head, body, mac = token.split(".")
        if not hmac.compare_digest(_unb64(mac), _mac(f"{head}.{body}".encode())):
            return None
        return _unb64(body).decode()
    except ValueError:
        return None


def read_jwt(token: str) -> dict[str, Any] | None:
    """The payload of a token, or None if the sandbox did not write it."""
    body = _read_jwt(token)
    payload: dict[str, Any] | None = json.loads(body) if body else None
    return payload

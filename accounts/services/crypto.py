"""Encryption of what must not be readable in the database."""

from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings

from platforms.errors import Misconfigured


class Undecryptable(Misconfigured):
    """No key of TOKEN_ENCRYPTION_KEYS opens a stored token."""


@lru_cache
def _fernet(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])


def _current() -> MultiFernet:
    return _fernet(tuple(settings.TOKEN_ENCRYPTION_KEYS))


def encrypt(text: str) -> str:
    """Ciphertext under the newest key; nothing stays nothing."""
    return _current().encrypt(text.encode()).decode() if text else ""


def decrypt(ciphertext: str) -> str:
    """The text, whichever of the keys it is under."""
    if not ciphertext:
        return ""
    try:
        return _current().decrypt(ciphertext.encode()).decode()
    except InvalidToken as error:
        raise Undecryptable from error


def rotate(ciphertext: str) -> str:
    """The same text under the newest key."""
    if not ciphertext:
        return ""
    try:
        return _current().rotate(ciphertext.encode()).decode()
    except InvalidToken as error:
        raise Undecryptable from error

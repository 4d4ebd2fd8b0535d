"""Bluesky: handles, DIDs and record keys, which can be computed from each other."""

import re
from datetime import UTC, datetime

from platforms.sandbox.world import digest, owner_bits

COLLECTION = "app.bsky.feed.post"
LETTERS = "234567abcdefghijklmnopqrstuvwxyz"
TID = re.compile(r"[234567abcdefghij][234567a-z]{12}")
HANDLE = re.compile(r"([a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?\.)+[a-zA-Z]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?")
DID = re.compile(r"did:(plc:[a-z2-7]{3,24}|web:[a-zA-Z0-9.:%-]+)")
_PLC = re.compile(r"[a-z2-7]{24}")


def handle_of(did: str) -> str:
    """An account's handle: its DID can be read back from it."""
    return f"{did.rpartition(':')[2]}.bsky.social" if did.startswith("did:plc:") else did.removeprefix("did:web:")


def did_of(handle: str) -> str:
    """The DID behind a handle; every well-formed handle has one."""
    name = handle.removesuffix(".bsky.social")
    return f"did:plc:{name if _PLC.fullmatch(name) else digest(handle, 24, LETTERS)}"


def record_key(did: str, at: float) -> str:
    """The TID of a record that an account made at an instant."""
    number, letters = int(at * 1_000_000) << 10 | owner_bits(did, 10), []
    for _ in range(13):
        letters.append(LETTERS[number & 31])
        number >>= 5
    return "".join(reversed(letters))


def created_at(rkey: str) -> float:
    """When a record was made, from its key; infinitely late if that is no TID."""
    if not TID.fullmatch(rkey):
        return float("inf")
    number = 0
    for letter in rkey:
        number = number << 5 | LETTERS.index(letter)
    return (number >> 10) / 1_000_000


def iso(at: float) -> str:
    """An instant as Bluesky writes it."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

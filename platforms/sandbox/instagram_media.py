"""Instagram: media ids, which carry when a media was made, by whom, and what it is."""

import re
from dataclasses import dataclass
from functools import lru_cache

from platforms.sandbox.world import mix, owner_bits

EPOCH = 1514764800  # 2018-01-01; 17 digits beginning with 179 or 180 reach until 2042
FIRST = 17900000000000000
LAST = 18100000000000000
KINDS = ("IMAGE", "VIDEO", "REELS", "STORY")
_ID = re.compile(r"(179|180)\d{14}")


@dataclass(frozen=True, slots=True)
class Media:
    """What a media id says."""

    id: str
    made_at: float
    owner: int
    kind: str

    @property
    def product_type(self) -> str:
        """FEED, REELS or STORY."""
        return self.kind if self.kind in ("REELS", "STORY") else "FEED"

    @property
    def media_type(self) -> str:
        """IMAGE, VIDEO or CAROUSEL_ALBUM; one feed image in four is an album."""
        if self.kind in ("VIDEO", "REELS"):
            return "VIDEO"
        return "CAROUSEL_ALBUM" if self.kind == "IMAGE" and mix(f"album:{self.id}") & 3 == 0 else "IMAGE"

    def belongs_to(self, account_id: str) -> bool:
        """Whether the account made it."""
        return owner_bits(account_id, 16) == self.owner


def encode(account_id: str, at: float, kind: str) -> str:
    """The id of a media."""
    return str(FIRST + ((int(at) - EPOCH) * 4 + KINDS.index(kind) << 16 | owner_bits(account_id, 16)))


@lru_cache(maxsize=65536)
def decode(media_id: str) -> Media | None:
    """What an id says; None if it cannot be one."""
    if not _ID.fullmatch(media_id):
        return None
    number = int(media_id) - FIRST
    seconds, kind = divmod(number >> 16, 4)
    return Media(media_id, float(EPOCH + seconds), number & 0xFFFF, KINDS[kind])


def kind_at(account_id: str, at: float) -> str:
    """What an account posted at an instant: half images, the rest reels and feed videos."""
    return ("IMAGE", "REELS", "IMAGE", "VIDEO")[mix(f"kind:{account_id}:{int(at)}") & 3]

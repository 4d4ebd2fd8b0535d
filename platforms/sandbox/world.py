"""The sandbox's world: ids that carry their own facts, and numbers that grow with the clock."""

import hashlib
from functools import lru_cache
from typing import NamedTuple
from zlib import crc32

DAY = 86400.0
HALF_LIFE = 1.5 * DAY
"""A post has half of the numbers it will ever have at this age."""
LISTED_POSTS = 60
LISTED_DAYS = 90.0

# A heavy tail: most posts are small, a few are very large.
_SIZES = tuple(int(150 * 2 ** (step / 25)) for step in range(256))
# The first entry is zero: one post in sixteen never gets a single like, another one never a comment, and so on.
_SHARES = tuple(step / 15 for step in range(16))


class Numbers(NamedTuple):
    """Everything any platform counts of one post. Monotone in the post's age."""

    impressions: int
    reach: int
    likes: int
    comments: int
    shares: int
    quotes: int
    saves: int
    clicks: int
    profile_clicks: int
    video_views: int
    follows: int


def mix(text: str) -> int:
    """32 well-spread bits of a text, the same in every process."""
    return (crc32(text.encode()) * 0x9E3779B1 & 0xFFFFFFFF) ^ 0x5BD1E995


def owner_bits(account_id: str, bits: int) -> int:
    """What an id carries of its owner, so that ownership is checked without a database."""
    return mix(f"owner:{account_id}") >> (32 - bits)


def curve(age_seconds: float) -> float:
    """The part of its final numbers that a post has at an age: fast in the first days, then saturating."""
    return age_seconds / (age_seconds + HALF_LIFE) if age_seconds > 0 else 0.0


def count(seed: str, name: str, age_seconds: float, scale: float) -> int:
    """One plausible count of `seed` (a post or an account) at an age; at most `scale`, monotone in the age."""
    return int(scale * (0.3 + 0.7 * (mix(f"{name}:{seed}") & 0xFFFF) / 0xFFFF) * curve(age_seconds))


def numbers(post_id: str, age_seconds: float) -> Numbers:
    """All counts of one post at an age."""
    bits = mix(post_id)
    seen = int(_SIZES[bits & 255] * curve(age_seconds))
    return Numbers(
        impressions=seen,
        reach=int(seen * (0.6 + 0.3 * _SHARES[bits >> 8 & 15])),
        likes=int(seen * 0.08 * _SHARES[bits >> 12 & 15]),
        comments=int(seen * 0.015 * _SHARES[bits >> 16 & 15]),
        shares=int(seen * 0.02 * _SHARES[bits >> 20 & 15]),
        quotes=int(seen * 0.006 * _SHARES[bits >> 24 & 15]),
        saves=int(seen * 0.02 * _SHARES[bits >> 28 & 15]),
        clicks=int(seen * 0.03 * _SHARES[bits >> 14 & 15]),
        profile_clicks=int(seen * 0.01 * _SHARES[bits >> 18 & 15]),
        video_views=int(seen * (0.3 + 0.3 * _SHARES[bits >> 22 & 15])),
        follows=int(seen * 0.002 * _SHARES[bits >> 26 & 15]),
    )


def joined_at(account_id: str) -> float:
    """When the account was made: some day between 2019 and 2022."""
    return 1546300800.0 + (mix(f"joined:{account_id}") & 0xFFFF) / 0xFFFF * 1400 * DAY


def followers(account_id: str, now: float) -> int:
    """How many follow the account; grows by a steady number a day."""
    bits = mix(f"followers:{account_id}")
    return 500 + (bits & 0x1FFF) + int(max(0.0, now - joined_at(account_id)) / DAY * (0.5 + (bits >> 16 & 63)))


def following(account_id: str) -> int:
    """How many the account follows."""
    return 20 + (mix(f"following:{account_id}") & 0x1FF)


def posts_count(account_id: str, now: float, *, posts: int = LISTED_POSTS, span_days: float = LISTED_DAYS) -> int:
    """How many posts the account ever made at its pace."""
    return int(max(0.0, now - joined_at(account_id)) / (span_days * DAY) * posts)


def activity(account_id: str, name: str, *, since: float, until: float) -> int:
    """What happened to an account in a window, say its views: whole numbers a day, the parts of days in proportion."""
    scale = 200 + (mix(f"{name}:{account_id}") & 0x7FF)
    total, day = 0.0, int(since // DAY)
    while day * DAY < until:
        part = (min(until, (day + 1) * DAY) - max(since, day * DAY)) / DAY
        total += part * scale * (0.7 + 0.6 * (mix(f"{name}:{account_id}:{day}") & 0xFFFF) / 0xFFFF)
        day += 1
    return int(total)


@lru_cache(maxsize=256)
def _slots(account_id: str, posts: int, period: float, newest: int) -> tuple[float, ...]:
    """The instants of the `posts` + 1 newest slots up to `newest`, newest first."""
    return tuple(
        slot * period + (mix(f"{account_id}:{slot}") & 0xFFFF) / 0xFFFF * period * 0.9
        for slot in range(newest, newest - posts - 1, -1)
    )


def post_times(account_id: str, *, posts: int, span_days: float, now: float, since: float | None = None) -> list[float]:
    """When an account posted, newest first.

    Time is cut into slots of `span_days` / `posts`; each slot holds one post at an instant of its own, so that a moment
    later the same posts are there and sooner or later one more. With `since` the listing keeps everything from there
    on and grows; without it, it shows the newest `posts`.
    """
    if posts <= 0:
        return []
    period = span_days * DAY / posts
    if since is not None:
        posts += max(0, int((now - since) // period) + 1)
    times = [at for at in _slots(account_id, posts, period, int(now // period)) if at <= now]
    if since is None:
        return times[:posts]
    oldest = times_floor(account_id, span_days=span_days, period=period, since=since)
    return [at for at in times if at >= oldest]


def times_floor(account_id: str, *, span_days: float, period: float, since: float) -> float:
    """The oldest of the posts that were listed at `since`."""
    posts = round(span_days * DAY / period)
    return post_times(account_id, posts=posts, span_days=span_days, now=since)[-1]


def digest(text: str, length: int, alphabet: str) -> str:
    """A text's hash, written in an alphabet of at most 256 signs."""
    return "".join(alphabet[byte % len(alphabet)] for byte in hashlib.sha512(text.encode()).digest()[:length])

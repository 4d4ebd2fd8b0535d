"""LinkedIn's names of things, how a query is written with them, and what is remembered of posts."""

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, unquote

from platforms.base import Account, Raw, Request, objects
from platforms.numerals import numeral
from platforms.payloads import lookup

ORGANIZATION = "urn:li:organization:"
SHARE, UGC = "urn:li:share:", "urn:li:ugcPost:"
POST = re.compile(
    r"(urn:li:(?:share|ugcPost):[0-9]{1,20})"
    r"|https?://(?:[a-z]+\.)?linkedin\.com/(?:feed/update|embed/feed/update)/(urn:li:(?:share|ugcPost):[0-9]{1,20})"
    r"/?(?:[?#]\S*)?"
    r"|https?://(?:[a-z]+\.)?linkedin\.com/posts/[^/\s?#]+-(share|ugcPost)-([0-9]{1,20})-[^/\s?#]+/?(?:[?#]\S*)?"
)
ACCOUNT = re.compile(
    r"(urn:li:(?:person:[A-Za-z0-9_-]{1,40}|organization:[0-9]{1,20}))"
    r"|https?://(?:[a-z]+\.)?linkedin\.com/company/([0-9]{1,20})/?(?:[?#]\S*)?"
)
STATISTICS = "organizationalEntityShareStatistics"
COUNTS = (
    *("impressionCount", "uniqueImpressionsCount", "clickCount", "likeCount", "commentCount", "shareCount"),
    "engagement",
)
PAGE = 100
"""Rows of a page of a search."""
FEW = 5
"""Up to this many posts, whatever may be known of each is asked for; more are read in the fewest calls."""
REMEMBERED = 1000


def post_urn(value: str) -> str:
    """The URN of a post. Which of its two kinds it is must be told: an activity's number says nothing of it."""
    found = POST.fullmatch(unquote(value) if value.startswith("http") else value)
    if not found:
        raise ValueError("expected urn:li:share:<number> or urn:li:ugcPost:<number>, as LinkedIn's API names the post")
    return _plain(found[1] or found[2] or f"urn:li:{found[3]}:{found[4]}")


def account_urn(value: str) -> str:
    """The URN of a member or an organization page."""
    found = ACCOUNT.fullmatch(value)
    if not found:
        raise ValueError("expected urn:li:person:<id> or urn:li:organization:<number>")
    urn = found[1] or f"{ORGANIZATION}{found[2]}"
    return _plain(urn) if urn.startswith(ORGANIZATION) else urn


def _plain(urn: str) -> str:
    """A URN that ends in a number, as LinkedIn writes it."""
    kind, _, number = urn.rpartition(":")
    return f"{kind}:{numeral(number)}"


def is_page(account: Account) -> bool:
    """Whether the account is an organization's page, which has readers of its own."""
    return account.network_unique_id.startswith(ORGANIZATION)


def sibling(urn: str) -> str:
    """The same number as a post of the other kind: asked under the wrong one, a post is not there."""
    return UGC + urn.removeprefix(SHARE) if urn.startswith(SHARE) else SHARE + urn.removeprefix(UGC)


# https://linkedin.github.io/rest.li/spec/protocol: values are encoded, the signs that hold them together are not.
# The query goes into the path, since what encodes parameters would encode those too.
def encoded(urn: str) -> str:
    """A URN as a value within a query or path."""
    return quote(urn, safe="")


def urn_list(urns: Iterable[str]) -> str:
    """A list of URNs as the value of a parameter."""
    return f"List({','.join(map(encoded, urns))})"


def finder(path: str, **query: str) -> Request:
    """A search; each endpoint has limits of its own."""
    written = "&".join(f"{name}={value}" for name, value in query.items())
    return Request(f"{path}?{written}", headers={"X-RestLi-Method": "FINDER"}, group=path)


def first(answer: Any) -> Raw:
    """The one element of an answer; empty if it has none."""
    elements = objects(answer["elements"])
    return elements[0] if elements else {}


def has_next(answer: Any) -> bool:
    """Whether a search says that it has another page."""
    links = lookup(answer, ("paging", "links"))
    return isinstance(links, list) and any(lookup(link, "rel") == "next" for link in links)


def at(milliseconds: int) -> datetime:
    """An instant as LinkedIn writes it."""
    return datetime.fromtimestamp(max(0, min(milliseconds, 2**43)) / 1000, UTC)


def remember(account: Account, name: str, values: Sequence[str]) -> None:
    """Add to a list of what is remembered; the oldest are forgotten."""
    known = recall(account, name)
    if not set(values) <= set(known):
        account.memory[name] = [*(each for each in known if each not in values), *values][-REMEMBERED:]


def recall(account: Account, name: str) -> list[str]:
    """A list of what is remembered."""
    known = account.memory.get(name)
    return [each for each in known if isinstance(each, str)] if isinstance(known, list) else []


def remember_facts(account: Account, name: str, facts: dict[str, Any]) -> None:
    """Add to a mapping of what is remembered; the oldest are forgotten."""
    known = recall_facts(account, name)
    if facts.items() - known.items():
        account.memory[name] = dict(
            [*(pair for pair in known.items() if pair[0] not in facts), *facts.items()][-REMEMBERED:]
        )


def recall_facts(account: Account, name: str) -> dict[str, Any]:
    """A mapping of what is remembered."""
    known = account.memory.get(name)
    return known if isinstance(known, dict) else {}


def asked_as(post_id: str, account: Account) -> str:
    """The URN that a post answers to: its own, or that of the other kind where this was found out."""
    return str(recall_facts(account, "kinds").get(post_id, post_id))

"""What is remembered of an Instagram account's media: those without insights, stories, those that no listing shows."""

from collections.abc import Mapping, Sequence

from platforms.base import Account, Raw

REMEMBERED = 1000
CERTAIN = 10
"""If so many media in a row have no insights for being too old, all that is older has none either."""


def recall(account: Account, name: str) -> list[str]:
    """A list of media ids."""
    known = account.memory.get(name)
    return [each for each in known if isinstance(each, str)] if isinstance(known, list) else []


def remember(account: Account, name: str, ids: Sequence[str]) -> None:
    """Add to a list of media ids; the oldest are forgotten."""
    known = recall(account, name)
    if not set(ids) <= set(known):
        account.memory[name] = [*(each for each in known if each not in ids), *ids][-REMEMBERED:]


def is_old(node: Raw, account: Account) -> bool:
    """Whether a medium is known to be from before the account became professional: it never has insights."""
    known = account.memory.get("no_insights")
    named = isinstance(known, list) and node.get("id") in known
    return named or is_past(str(node.get("timestamp") or ""), account)


def is_past(timestamp: str, account: Account) -> bool:
    """Whether all media of an instant are known to be from before the account became professional."""
    until = str(account.memory.get("no_insights_until") or "")
    return bool(until and timestamp) and timestamp <= until


def remember_old(account: Account, without: Mapping[str, bool], nodes: Mapping[str, Raw]) -> None:
    """Note which media, newest first, turned out to be without insights.

    One such medium spoils the page of the listing that it is on. What is older than a few in a row is taken for the
    same, and not asked for.
    """
    remember(account, "no_insights", [media_id for media_id, old in without.items() if old])
    row: list[str] = []
    for media_id, old in without.items():
        row = [*row, media_id] if old else []
    stamps = [str(nodes.get(media_id, {}).get("timestamp") or "") for media_id in row]
    if len(row) >= CERTAIN and all(stamps):
        known = str(account.memory.get("no_insights_until") or "")
        account.memory["no_insights_until"] = max(known, *stamps)

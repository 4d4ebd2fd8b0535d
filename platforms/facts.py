"""What each platform offers, as plain data: for the API, and for the table in the README."""

from typing import Any

from platforms import registry
from platforms.base import Platform
from platforms.dimensions import AccountDimension, Dimension


def facts() -> list[dict[str, Any]]:
    """Every platform's facts, in the registry's order."""
    return [_facts(platform) for platform in registry.PLATFORMS.values()]


def _facts(platform: Platform) -> dict[str, Any]:
    reported, of_account = platform.dimensions(), platform.account_dimensions()
    return {
        "key": platform.key,
        "label": platform.label,
        "dimensions": [str(each) for each in Dimension if platform.has_posts and each in reported],
        "account_dimensions": [str(each) for each in AccountDimension if each in of_account],
        "batch_size": platform.batch_size,
        "has_post_metrics": platform.has_posts,
        "has_probe": platform.has_probe,
        "has_refresh": platform.refresh is not None,
        "has_listing": platform.has_listing,
        "scopes": list(platform.scopes),
    }


def table() -> str:
    """The facts as a Markdown table."""
    head = ["| platform | key | posts | account | batch | listing |", "|---|---|---|---|---|---|"]
    return "\n".join([*head, *(_row(each) for each in facts())])


def _row(each: dict[str, Any]) -> str:
    posts = ", ".join(each["dimensions"]).replace("_", " ") or "none"
    account = ", ".join(each["account_dimensions"]).replace("_", " ")
    size = str(each["batch_size"]) if each["has_post_metrics"] else "-"
    listing = "yes" if each["has_listing"] else "no"
    return f"| {each['label']} | `{each['key']}` | {posts} | {account} | {size} | {listing} |"

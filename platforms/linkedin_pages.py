"""LinkedIn organization pages: their own numbers, who administers them, and what they posted."""

from typing import Any

from platforms.base import Account, Call, Listed, Listing, Raw, Reading, Request, objects, pick
from platforms.dimensions import AccountDimension, Reason
from platforms.errors import AccountNotFound, Gone, PlatformError, Revoked, ScopeMissing, TokenExpired
from platforms.linkedin_urns import (
    COUNTS,
    PAGE,
    SHARE,
    STATISTICS,
    UGC,
    at,
    encoded,
    finder,
    first,
    has_next,
    remember,
    remember_facts,
)
from platforms.payloads import lookup

ACCOUNT_FIELDS = {
    AccountDimension.FOLLOWERS: ("firstDegreeSize",),
    AccountDimension.IMPRESSIONS: ("totalShareStatistics", "impressionCount"),
    AccountDimension.REACH: ("totalShareStatistics", "uniqueImpressionsCount"),
    AccountDimension.PROFILE_VIEWS: ("pageViews",),
}


def read_account(account: Account) -> Call[Raw | Reading]:
    """Followers, statistics and views of the page, side by side; each may be refused alone."""
    page = encoded(account.network_unique_id)
    answers = yield (
        Request(f"networkSizes/{page}?edgeType=COMPANY_FOLLOWED_BY_MEMBER", group="networkSizes"),
        finder(STATISTICS, q="organizationalEntity", organizationalEntity=page),
        finder("organizationPageStatistics", q="organization", organization=page),
    )
    failed = [answer for answer in answers if isinstance(answer, PlatformError)]
    stops: list[PlatformError] = [error for error in failed if isinstance(error, TokenExpired | Revoked)]
    if stops or len(failed) == len(answers):
        worst = (stops or failed)[0]
        raise AccountNotFound("LinkedIn does not know this page.") if isinstance(worst, Gone) else worst
    size, statistics, views = answers
    raw: Raw = {"kind": "organization"}
    raw |= pick(size, ("firstDegreeSize",))
    if statistics not in failed:
        raw["totalShareStatistics"] = pick(first(statistics).get("totalShareStatistics"), COUNTS)
    if views not in failed:
        told = lookup(first(views), ("totalPageStatistics", "views", "allPageViews", "pageViews"))
        raw |= {} if told is None else {"pageViews": told}
    sources = dict(zip(ACCOUNT_FIELDS, (size, statistics, statistics, views), strict=True))
    return Reading(raw, {name: Reason.SCOPE_MISSING for name, e in sources.items() if isinstance(e, ScopeMissing)})


def check_role(account: Account) -> Call[None]:
    """That the token's member administers the page."""
    start, more = 0, True
    while more:
        query = {"role": "ADMINISTRATOR", "state": "APPROVED", "count": str(PAGE), "start": str(start)}
        answer = yield finder("organizationAcls", q="roleAssignee", **query)
        if any(each.get("organization") == account.network_unique_id for each in objects(answer["elements"])):
            return
        start, more = start + PAGE, has_next(answer)
    raise ScopeMissing("The token's member does not administer this page.")


def list_posts(account: Account, cursor: str) -> Call[Listing]:
    """A page of the organization's posts. What LinkedIn names itself is known by kind, age and sort."""
    start = int(cursor or 0)
    author = encoded(account.network_unique_id)
    query = {"count": str(PAGE), "start": str(start), "sortBy": "CREATED"}
    answer = yield finder("posts", q="author", author=author, **query)
    posts = [each for each in objects(answer["elements"]) if each.get("lifecycleState") == "PUBLISHED"]
    own = [
        each for each in posts if each["author"] == account.network_unique_id and each["id"].startswith((SHARE, UGC))
    ]
    made = {each["id"]: each.get("publishedAt", each.get("createdAt")) for each in own}
    remember_facts(account, "listed", {i: when for i, when in made.items() if type(when) is int})
    media = {each["id"]: lookup(each, ("content", "media", "id")) for each in own}
    remember(account, "videos", [i for i, name in media.items() if str(name).startswith("urn:li:video:")])
    listed = tuple(_listed(urn, when) for urn, when in made.items())
    return Listing(listed, str(start + PAGE) if has_next(answer) else "")


def _listed(urn: str, made: Any) -> Listed:
    url = f"https://www.linkedin.com/feed/update/{urn}/"
    return Listed(urn, url, at(made) if type(made) is int else None)

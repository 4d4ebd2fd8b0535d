"""How LinkedIn members and organization pages are connected."""

from typing import Any

from platforms import ownership
from platforms.base import Account, Call, Platform, Raw, Request, objects
from platforms.consent import Candidate, Consent, Need
from platforms.dimensions import AccountDimension, Dimension
from platforms.errors import PlatformError, Revoked, ScopeMissing, TokenExpired, TryLater
from platforms.linkedin_urns import ORGANIZATION, PAGE, finder, has_next
from platforms.oauth import TokenSet

USERINFO = "https://api.linkedin.com/v2/userinfo"
NAMED_AT_ONCE = 20
MOST_PAGES = 1000


class LinkedInConsent(Platform):
    """LinkedIn's dialog. One grant covers the member and the pages that the member administers."""

    # https://learn.microsoft.com/en-us/linkedin/shared/authentication/authorization-code-flow
    consent = Consent(
        "https://www.linkedin.com/oauth/v2/authorization",
        "https://www.linkedin.com/oauth/v2/accessToken",
    )
    needs = {
        "r_basicprofile": Need((), (), ("openid",), "members cannot be connected"),
        "r_member_postAnalytics": Need(
            account=(AccountDimension.IMPRESSIONS, AccountDimension.REACH), why="for members"
        ),
        "r_member_profileAnalytics": Need((), (AccountDimension.FOLLOWERS,), why="for members"),
        "r_organization_social": Need(
            (Dimension.LIKES, Dimension.COMMENTS), (), why="for pages, whose posts cannot be listed either"
        ),
        "rw_organization_admin": Need(why="for pages, which cannot be connected"),
    }

    def discover(self, account: Account, tokens: TokenSet) -> Call[list[Candidate]]:
        known = bool(account.scopes)
        found: list[Candidate] = []
        if is_openid(account) or not known or "r_basicprofile" in account.scopes:
            (me,) = yield (who(account),)
            if isinstance(me, PlatformError) and not isinstance(me, ScopeMissing):
                raise me
            found += [] if isinstance(me, PlatformError) else [_member(me)]
        if not known or "rw_organization_admin" in account.scopes:
            found += yield from _pages()
        return found


def is_openid(account: Account) -> bool:
    """Whether the member is named by OpenID Connect: apps have either that or the versioned API's profile."""
    # https://learn.microsoft.com/en-us/linkedin/consumer/integrations/self-serve/sign-in-with-linkedin-v2
    return "openid" in account.scopes and "r_basicprofile" not in account.scopes


def who(account: Account) -> Request:
    """The question whose token it is."""
    return Request(USERINFO, group="userinfo") if is_openid(account) else Request("me", group="me")


def member_urn(me: Raw) -> str:
    """The member whom either kind of profile is about."""
    return f"urn:li:person:{me['sub'] if 'sub' in me else me['id']}"


def identify(account: Account) -> Call[None]:
    """Raise if the token is another member's."""
    if not ownership.is_known(account):
        (me,) = yield (who(account),)
        note_who(me, account)


def note_who(me: Any, account: Account) -> None:
    """What an answer to that question, or a refusal of it, tells. While it has no answer nothing else counts."""
    if isinstance(me, TryLater | TokenExpired | Revoked):
        raise me
    if isinstance(me, ScopeMissing):
        ownership.give_up(account)
    elif isinstance(me, dict) and me.keys() & {"id", "sub"}:
        ownership.confirm(account, member_urn(me))


def _member(me: Raw) -> Candidate:
    if "sub" in me:
        return Candidate(member_urn(me), "", str(me.get("name") or ""), str(me.get("picture") or ""), "member")
    names = [str(me[each]) for each in ("localizedFirstName", "localizedLastName") if me.get(each)]
    return Candidate(member_urn(me), str(me.get("vanityName") or ""), " ".join(names), "", "member")


def _pages() -> Call[list[Candidate]]:
    """The pages that the member administers. A page whose name is refused is offered without one."""
    urns: list[str] = []
    start, more = 0, True
    while more and start < MOST_PAGES:
        query = {"role": "ADMINISTRATOR", "state": "APPROVED", "count": str(PAGE), "start": str(start)}
        answers = yield (finder("organizationAcls", q="roleAssignee", **query),)
        if isinstance(answers[0], ScopeMissing):
            return []
        if isinstance(answers[0], PlatformError):
            raise answers[0]
        urns += [str(each["organization"]) for each in objects(answers[0]["elements"])]
        start, more = start + PAGE, has_next(answers[0])
    urns = [urn for urn in dict.fromkeys(urns) if urn.startswith(ORGANIZATION)]
    named: list[Any] = []
    for at in range(0, len(urns), NAMED_AT_ONCE):
        part = urns[at : at + NAMED_AT_ONCE]
        named += yield tuple(
            Request(f"organizations/{urn.removeprefix(ORGANIZATION)}", group="organizations") for urn in part
        )
    return [_page(urn, told) for urn, told in zip(urns, named, strict=True)]


def _page(urn: str, told: Any) -> Candidate:
    page = told if isinstance(told, dict) else {}
    name = str(page.get("localizedName") or "")
    return Candidate(urn, str(page.get("vanityName") or ""), name, "", "organization")

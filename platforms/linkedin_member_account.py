"""LinkedIn members: their own numbers."""

from platforms import ownership
from platforms.base import Account, Call, Raw, Reading
from platforms.dimensions import AccountDimension, Reason
from platforms.errors import AccountNotFound, Gone, PlatformError, Revoked, TokenExpired
from platforms.linkedin_consent import note_who, who
from platforms.linkedin_members import Replies, count_of, failures, reasons, retire
from platforms.linkedin_urns import finder, first

ACCOUNT_FIELDS = {
    AccountDimension.FOLLOWERS: ("counts", "memberFollowersCount"),
    AccountDimension.IMPRESSIONS: ("counts", "IMPRESSION"),
    AccountDimension.REACH: ("counts", "MEMBERS_REACHED"),
}


def read_account(account: Account) -> Call[Raw | Reading]:
    """Followers, and what all posts together were seen; each at the price of one call, and of one scope."""
    names = [name for name in ("IMPRESSION", "MEMBERS_REACHED") if name not in account.retired]
    posts = [finder("memberCreatorPostAnalytics", q="me", queryType=name, aggregation="TOTAL") for name in names]
    asks = [] if ownership.is_known(account) else [who(account)]  # none of these numbers says whose it is
    answers = yield (finder("memberFollowersCount", q="me"), *posts, *asks)
    replies: Replies = dict(zip(("memberFollowersCount", *names), answers, strict=False))
    errors = failures(replies)
    stops: list[PlatformError] = [error for error in errors.values() if isinstance(error, TokenExpired | Revoked)]
    if stops or len(errors) == len(replies):
        worst = (stops or list(errors.values()))[0]
        raise AccountNotFound("LinkedIn does not know this member.") if isinstance(worst, Gone) else worst
    if asks:
        note_who(answers[-1], account)
    retire(errors, account)
    counts = {name: count_of(reply) for name, reply in replies.items() if name not in errors and name in names}
    if "memberFollowersCount" not in errors:
        counts["memberFollowersCount"] = first(replies["memberFollowersCount"]).get("memberFollowersCount")
    dimensions = {path[1]: dimension for dimension, path in ACCOUNT_FIELDS.items()}
    told = reasons(list(dimensions.items()), errors, account) | {AccountDimension.PROFILE_VIEWS: Reason.UNSUPPORTED}
    raw: Raw = {"kind": "member", "counts": {k: v for k, v in counts.items() if v is not None}}
    return Reading(raw, told)

"""Pinterest API v5: pins, the user account and their analytics."""

import base64
import re
from typing import Any

from platforms.sandbox import pinterest_oauth
from platforms.sandbox.pinterest_numbers import account_totals, asked, made_at, owned, pin, pin_totals
from platforms.sandbox.pinterest_oauth import error
from platforms.sandbox.state import Fault
from platforms.sandbox.tokens import Claims
from platforms.sandbox.wire import Answer, Call, Refused, SandboxRequest, Wire, listed
from platforms.sandbox.world import followers, following, mix, owner_bits, posts_count

LIMITS = {"org_read": 1000, "org_analytics": 300}
A_SECOND = 100
_ROUTES = (
    ("GET", re.compile(r"/v5/user_account"), "user_account"),
    ("GET", re.compile(r"/v5/user_account/analytics"), "account_analytics"),
    ("GET", re.compile(r"/v5/pins"), "pins"),
    ("GET", re.compile(r"/v5/pins/analytics"), "pins_analytics"),
    ("GET", re.compile(r"/v5/pins/([^/]+)/analytics"), "pin_analytics"),
    ("GET", re.compile(r"/v5/pins/([^/]+)"), "pin"),
    ("POST", re.compile(r"/v5/oauth/token"), "token"),
    ("GET", re.compile(r"/oauth/"), "authorize"),
    ("POST", re.compile(r"/oauth/"), "authorize"),
)
_OF_PINS, _OF_ACCOUNT = ("pins:read", "boards:read"), ("user_accounts:read",)
_NEEDS = {
    **dict.fromkeys(("pin", "pins", "pin_analytics", "pins_analytics"), _OF_PINS),
    **dict.fromkeys(("user_account", "account_analytics"), _OF_ACCOUNT),
}


class Pinterest(Wire):
    """The API of Pinterest, its token endpoint included."""

    key = "pinterest"
    hosts = ("api.pinterest.com", "www.pinterest.com")
    switches = {
        "rate_limits": True,
        "limits": {},  # {"org_analytics": 10} replaces the documented numbers
        "limit_headers": False,  # whether answers tell what is left
        "batch_analytics": True,  # whether the app may use the beta call for many pins
        "batch_spelling": "comma",  # comma, repeated: how that call wants its ids
        "unknown_in_batch": "absent",  # absent, 404, 401: what that call makes of a pin that is not the caller's
        "business": True,  # whether the account has analytics of its own
        "lifetime_metrics": True,  # whether pins have lifetime counts
        "repins": False,  # whether every eighth pin is a save of somebody else's
        "unlisted": [],  # ids of pins on boards that the listing does not show
        **pinterest_oauth.SWITCHES,
    }
    token_groups = frozenset({"token", "authorize"})
    own_faults = frozenset({"not_yours", "forbidden"})

    def group(self, request: SandboxRequest) -> str:
        return _route(request)[0]

    def answer(self, call: Call) -> Answer:
        if call.group in self.token_groups:
            return pinterest_oauth.answer(call)
        if call.group == "other":
            return error(404, 404, "Not Found")
        claims = call.claims = pinterest_oauth.authenticate(call)
        if not all(map(call.allows, _NEEDS[call.group])):
            return error(401, 3, "Authorization failed: the token lacks a scope.")
        headers = _spend(call, claims)
        _, item = _route(call.request)
        answer = self._dispatch(call, claims, item)
        answer.headers.update(headers)
        return answer

    def _dispatch(self, call: Call, claims: Claims, item: str) -> Answer:
        if call.group == "user_account":
            return Answer(_user(call, claims.account_id))
        if call.group == "account_analytics":
            if not call.state.switches["business"]:
                return error(403, 403, "Not authorized to access the user account analytics.")
            return Answer(account_totals(call, claims.account_id))
        if call.group == "pins":
            return _page(self, call, claims)
        if call.group == "pins_analytics":
            return _many_totals(call, claims)
        if not re.fullmatch("[0-9]{1,19}", item):
            return error(400, 400, "pin_id: must match ^\\d+$")
        if not _exists(call, item):
            return error(404, 50 if call.group == "pin" else 404, "Sorry! We couldn't find that Pin.")
        if call.group == "pin":
            return Answer(pin(call, item, is_owner=owned(item, claims.account_id)))
        if not owned(item, claims.account_id):
            return error(403, 403, "Not authorized to access the Pin.")
        return Answer(pin_totals(call, item, asked(call, videos=[item])))

    def refusal(self, call: Call, fault: Fault) -> Answer:
        if fault.kind == "rate_limited":
            named = {} if fault.retry_after is None else {"Retry-After": str(int(fault.retry_after))}
            return Answer({"code": 8, "message": "You have exceeded your rate limit."}, 429, named)
        if fault.kind in ("refuse_refresh", "token_expired"):
            return error(401, 2, "Authentication failed.")
        status, code, message = {
            "server_error": (500, 11, "Something went wrong on our end."),
            "scope_missing": (401, 3, "Authorization failed: the token lacks a scope."),
            "not_yours": (401, 7, "Not authorized to access board or Pin."),
            "forbidden": (403, 29, "You are not permitted to access that resource."),
        }[fault.kind]
        return error(status, code, message)

    def post_id(self, account_id: str, at: float) -> str:
        return str(int(at) << 29 | owner_bits(account_id, 22) << 7 | int(at % 1 * 128))

    def tokens(self, account_id: str, now: float, lifetime: float | None, **extra: Any) -> dict[str, Any]:
        return pinterest_oauth.grant(account_id, now, lifetime)


def _route(request: SandboxRequest) -> tuple[str, str]:
    for method, pattern, group in _ROUTES:
        if request.method == method and (match := pattern.fullmatch(request.path)):
            return group, match.group(1) if match.lastindex else ""
    return "other", ""


def _spend(call: Call, claims: Claims) -> dict[str, str]:
    """Take the call from the user's second and from the minute of its category."""
    if not call.state.switches["rate_limits"]:
        return {}
    category = "org_analytics" if "analytics" in call.group else "org_read"
    limit = call.state.switches["limits"].get(category, LIMITS[category])
    a_second = call.state.switches["limits"].get("second", A_SECOND)
    second, _ = call.state.spend(f"second:{claims.account_id}", limit=a_second, seconds=1, now=call.now)
    left, end = call.state.spend(f"{category}:{claims.account_id}", limit=limit, seconds=60, now=call.now)
    told = {"x-ratelimit-limit": limit, "x-ratelimit-remaining": max(left, 0), "x-ratelimit-reset": end - call.now}
    headers = {name: str(int(value)) for name, value in told.items()} if call.state.switches["limit_headers"] else {}
    if min(left, second) < 0:
        raise Refused(Answer({"code": 8, "message": "You have exceeded your rate limit."}, 429, headers))
    return headers


def _exists(call: Call, pin_id: str) -> bool:
    return pin_id not in call.state.deleted and 1e9 < made_at(pin_id) <= call.now


def _user(call: Call, account_id: str) -> dict[str, Any]:
    account = call.state.account(account_id)
    return {
        "id": account_id,
        "username": f"sandbox_{account_id[-6:]}",
        "account_type": "BUSINESS" if call.state.switches["business"] else "PINNER",
        "business_name": "Sandbox",
        "profile_image": "https://i.pinimg.com/sandbox.jpg",
        "follower_count": followers(account_id, call.now),
        "following_count": following(account_id),
        "pin_count": posts_count(account_id, call.now, posts=account.posts, span_days=account.span_days),
        "board_count": 1 + mix(f"boards:{account_id}") % 30,
        "monthly_views": followers(account_id, call.now) * 3,
    }


def _page(wire: Pinterest, call: Call, claims: Claims) -> Answer:
    """A page of the caller's own pins, newest first."""
    request = call.request
    size = request.first("page_size", "25")
    if not size.isdecimal() or not 1 <= int(size) <= 250:
        return error(400, 400, f"page_size: {size} is not between 1 and 250")
    ids = [one for one in listed(wire, call.state, claims.account_id, call.now) if _is_listed(call, one)]
    start = _start(request.first("bookmark"), ids)
    page = ids[start : start + int(size)]
    more = start + len(page) < len(ids)
    bookmark = base64.b64encode(f"UNO*{page[-1]}".encode()).decode() if more else None
    return Answer({"items": [pin(call, one, is_owner=True) for one in page], "bookmark": bookmark})


def _is_listed(call: Call, pin_id: str) -> bool:
    if pin_id in call.state.switches["unlisted"]:
        return False
    return call.request.first("pin_filter") != "exclude_repins" or "parent_pin_id" not in pin(call, pin_id)


def _start(bookmark: str, ids: list[str]) -> int:
    """Where a page begins: behind the last pin of the page before, even if that one has been deleted since."""
    if not bookmark:
        return 0
    try:
        last = int(base64.b64decode(bookmark, validate=True).decode().removeprefix("UNO*"))
    except ValueError:
        raise Refused(error(400, 400, "Invalid bookmark")) from None
    return next((index for index, one in enumerate(ids) if int(one) < last), len(ids))


def _many_totals(call: Call, claims: Claims) -> Answer:
    """Analytics of up to 100 pins at once."""
    if not call.state.switches["batch_analytics"]:
        return error(403, 29, "You are not permitted to access that resource.")
    values = call.request.query.get("pin_ids", [])
    ids = call.request.listed("pin_ids") if call.state.switches["batch_spelling"] == "comma" else values
    if not 1 <= len(ids) <= 100 or not all(one.isdecimal() for one in ids):
        return error(400, 1, "Invalid parameters: pin_ids must be 1 to 100 numbers")
    own = [one for one in ids if _exists(call, one) and owned(one, claims.account_id)]
    told = call.state.switches["unknown_in_batch"]
    if len(own) < len(ids) and told != "absent":
        return error(404, 50, "Pin not found.") if told == "404" else error(401, 7, "Not authorized to access Pin.")
    metrics = asked(call, videos=own)
    return Answer({one: pin_totals(call, one, metrics) for one in own})

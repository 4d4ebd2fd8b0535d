"""LinkedIn: tokens, the consent page, and which grant each endpoint needs. A member brings the pages they run."""

from dataclasses import replace
from typing import Any

from platforms.sandbox import consent
from platforms.sandbox.linkedin_posts import error, forbidden
from platforms.sandbox.tokens import Claims, new_family, read, sign
from platforms.sandbox.wire import Answer, Call, Refused

DAY = 86400
ACCESS_LIFETIME, REFRESH_LIFETIME = 60 * DAY, 365 * DAY
SCOPE = "r_basicprofile,r_member_postAnalytics,r_member_profileAnalytics,r_organization_social,rw_organization_admin"
PERSON, ORGANIZATION = "urn:li:person:", "urn:li:organization:"
PAGES = {
    f"{PERSON}sbxAda": (f"{ORGANIZATION}5001", f"{ORGANIZATION}5002"),
    f"{PERSON}sbxBen": (f"{ORGANIZATION}5003",),
    f"{PERSON}sbxCleo": (),
}
SWITCHES = {
    "require_client": False,  # refuse token calls that name no client
    "refused_refresh": "invalid_request",  # invalid_request, invalid_grant
    "partner": True,  # whether the app gets refresh tokens
    **consent.switches(1800),
}
_REFUSED = "The provided authorization grant or refresh token is invalid, expired or revoked."
_ADMIN = ("rw_organization_admin", "r_organization_admin")
# Any one of these will do.
_NEEDS = {
    "me": ("r_basicprofile",),
    "userinfo": ("openid",),
    "memberCreatorPostAnalytics": ("r_member_postAnalytics",),
    "memberCreatorVideoAnalytics": ("r_member_postAnalytics",),
    "memberFollowersCount": ("r_member_profileAnalytics",),
    "organizationalEntityShareStatistics": ("rw_organization_admin",),
    "organizationPageStatistics": ("rw_organization_admin",),
    "organizationAcls": _ADMIN,
    "organizations": _ADMIN,
    "videoAnalytics": ("r_organization_social",),
    "posts": ("r_organization_social",),
}


def reach(account_id: str) -> tuple[str, ...]:
    """A member and the pages they administer; whoever is named `admin5` administers page 5."""
    if account_id.startswith(f"{PERSON}admin"):
        return account_id, f"{ORGANIZATION}{account_id.removeprefix(f'{PERSON}admin')}"
    return account_id, *PAGES.get(account_id, ())


def _name(account_id: str) -> str:
    pages = len(reach(account_id)) - 1
    return f"Sandbox {account_id.rpartition(':')[2].removeprefix('sbx')}, {pages} page{'' if pages == 1 else 's'}"


TERMS = consent.Terms(
    platform="linkedin",
    title="LinkedIn",
    accounts=tuple(PAGES),
    name=_name,
    reach=reach,
    denial={"error": "user_cancelled_authorize", "error_description": "The user cancelled the authorization"},
    refusals={"invalid_scope": "unauthorized_scope_error", "unsupported_response_type": "unsupported_response_type"},
)


def expired() -> Answer:
    """The answer to a token whose time is over."""
    return error(401, "The token used in the request has expired", service=65602, code="EXPIRED_ACCESS_TOKEN")


def revoked() -> Answer:
    """The answer to a token that its member took back."""
    words = "The token used in the request has been revoked by the user"
    return error(401, words, service=65601, code="REVOKED_ACCESS_TOKEN")


def unscoped(call: Call) -> Answer:
    """The answer to a token whose grant does not cover the call."""
    if call.group == "userinfo":
        return forbidden("userinfo.GET.NO_VERSION")
    return forbidden(f"{call.group}.FINDER-{call.request.first('q') or 'get'}.20260901")


def refused_refresh(call: Call) -> Answer:
    """The answer to a dead refresh token or a code that is worth nothing."""
    return Answer({"error": call.state.switches["refused_refresh"], "error_description": _REFUSED}, 400)


def grant(account_id: str, now: float, lifetime: float | None) -> dict[str, Any]:
    """The tokens of a new grant."""
    expires_at = int(now + (ACCESS_LIFETIME if lifetime is None else lifetime))
    access = Claims("linkedin", account_id, "access", new_family(), int(now), expires_at, scopes=SCOPE)
    refresh = replace(access, kind="refresh", expires_at=int(now) + REFRESH_LIFETIME)
    return {"access_token": sign(access, "AQX"), "refresh_token": sign(refresh, "AQW"), "expires_at": expires_at}


def authenticate(call: Call) -> Claims:
    """Whose token came with the call."""
    claims = read(call.request.bearer(), "AQX")
    if claims is None or claims.platform != "linkedin":
        raise Refused(error(401, "Invalid access token", service=65600, code="INVALID_ACCESS_TOKEN"))
    if claims.family in call.state.dead or call.state.account(claims.account_id).revoked:
        raise Refused(revoked())
    if claims.expired(call.now):
        raise Refused(expired())
    return claims


def check_scope(call: Call) -> None:
    """Refuse the call if the grant does not cover it."""
    needed = _NEEDS.get(call.group)
    if needed and not any(map(call.allows, needed)):
        raise Refused(unscoped(call))


def token(call: Call) -> Answer:
    """The token endpoint: a form, with the app in it."""
    form = call.request.form()
    if call.state.switches["require_client"] and not form.get("client_id"):
        return _invalid_client()
    names = {"refresh_token": "refresh_token", "authorization_code": "code"}
    name = names.get(form.get("grant_type", ""))
    if name is None:
        return Answer({"error": "unsupported_grant_type", "error_description": "Unknown grant type"}, 400)
    if not form.get(name):
        words = f'A required parameter "{name}" is missing'
        return Answer({"error": "invalid_request", "error_description": words}, 400)
    if name == "code":
        return _exchange(call, form)
    claims = read(form["refresh_token"], "AQW")
    dead = claims is None or claims.expired(call.now) or claims.family in call.state.dead
    if claims is None or dead or call.state.account(claims.account_id).revoked:
        return refused_refresh(call)
    return _granted(call, claims)


def _invalid_client() -> Answer:
    return Answer({"error": "invalid_client", "error_description": "Client authentication failed"}, 401)


def _exchange(call: Call, form: dict[str, str]) -> Answer:
    client_id, back = form.get("client_id", ""), form.get("redirect_uri", "")
    if not client_id or not form.get("client_secret"):
        return _invalid_client()
    try:
        claims = consent.redeem(call, TERMS, code=form["code"], client_id=client_id, back=back).claims
    except consent.BadCode as bad:
        reasons = {
            "expired": "authorization code expired",
            "redirect": "redirect_uri/code verifier does not match authorization code. Or authorization code expired.",
        }
        words = f"Unable to retrieve access token: {reasons.get(bad.reason, 'authorization code not found')}"
        return Answer({"error": "invalid_request", "error_description": words}, 400)
    # https://learn.microsoft.com/en-us/linkedin/shared/authentication/authorization-code-flow
    call.state.supersede(f"{client_id}:{claims.account_id}", claims.family, frozenset(claims.scopes.split(",")))
    return _granted(call, claims.next("refresh", now=call.now, lifetime=REFRESH_LIFETIME))


def _granted(call: Call, refresh: Claims) -> Answer:
    """A new access token, that never outlives the refresh token; the end of that one stays where it was."""
    left = refresh.expires_at - int(call.now)
    lifetime = min(ACCESS_LIFETIME, left)
    answer = {
        "access_token": sign(refresh.next("access", now=call.now, lifetime=lifetime), "AQX"),
        "expires_in": lifetime,
        "scope": refresh.scopes or SCOPE,
    }
    if call.state.switches["partner"]:
        answer |= {"refresh_token": sign(refresh, "AQW"), "refresh_token_expires_in": left}
    return Answer(answer)

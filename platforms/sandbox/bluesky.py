"""Bluesky: the public AppView, and any PDS, whose answers to `app.bsky.*` are the AppView's."""

import re
from typing import Any

from platforms.sandbox import bluesky_identity, bluesky_session
from platforms.sandbox.bluesky_ids import COLLECTION, DID, HANDLE, LETTERS, TID, created_at, did_of, iso, record_key
from platforms.sandbox.bluesky_session import error
from platforms.sandbox.state import Fault
from platforms.sandbox.wire import Answer, Call, Refused, SandboxRequest, Wire, listed
from platforms.sandbox.world import digest, followers, following, joined_at, mix, numbers, posts_count

PUBLIC_HOSTS = ("public.api.bsky.app", "api.bsky.app")
ENTRYWAY = "bsky.social"
BATCH = 25
_URI = re.compile(rf"at://(did:[a-z]+:[^/]+)/{re.escape(COLLECTION)}/([^/]+)")
_GROUPS = frozenset(
    {"getPosts", "getProfile", "getProfiles", "getAuthorFeed", "resolveHandle", "listRecords", "describeServer"}
)


def invalid(message: str) -> Refused:
    """The refusal of a bad parameter."""
    return Refused(error(400, "InvalidRequest", message))


class Bluesky(Wire):
    """XRPC methods of posts, profiles and sessions."""

    key = "bluesky"
    hosts = (*PUBLIC_HOSTS, ENTRYWAY, bluesky_identity.PLC)
    switches = {
        "rate_limits": True,
        "require_pds_auth": True,  # app.bsky.* on a PDS needs a token
        **bluesky_session.SWITCHES,
    }
    token_groups = frozenset({"createSession", "refreshSession"})
    own_faults = frozenset({"upstream_failure"})

    def serves(self, request: SandboxRequest) -> bool:
        return request.host in self.hosts or request.path.startswith("/xrpc/") or bluesky_identity.knows(request)

    def group(self, request: SandboxRequest) -> str:
        if bluesky_identity.knows(request):
            return "identity"
        name = request.path.removeprefix("/xrpc/").rpartition(".")[2]
        return name if name in _GROUPS or name in bluesky_session.METHODS else "other"

    def can_refuse(self, kind: str, call: Call) -> bool:
        with_token = call.request.host not in PUBLIC_HOSTS
        return super().can_refuse(kind, call) and (with_token or kind not in ("token_expired", "scope_missing"))

    def answer(self, call: Call) -> Answer:
        if call.group == "identity":
            return bluesky_identity.answer(call)
        headers = {} if call.request.host in PUBLIC_HOSTS else self._spend(call)
        answer = self._answer(call)
        answer.headers.update(headers)
        return answer

    def _answer(self, call: Call) -> Answer:
        request = call.request
        public = request.host in PUBLIC_HOSTS
        if call.group in bluesky_session.METHODS and not public:
            return bluesky_session.answer(call)
        if call.group not in _METHODS:
            return error(501, "MethodNotImplemented", "Method Not Implemented")
        if request.method != "GET":
            return error(405, "InvalidRequest", "Incorrect HTTP method (POST) expected GET")
        appview = request.path.startswith("/xrpc/app.bsky.")
        if appview and not public and (request.bearer() or call.state.switches["require_pds_auth"]):
            bluesky_session.authenticate(call, "access")
        return _METHODS[call.group](self, call)

    def _spend(self, call: Call) -> dict[str, str]:
        """Take the call from the PDS's 3,000 in five minutes."""
        if not call.state.switches["rate_limits"]:
            return {}
        left, end = call.state.spend(f"pds:{call.request.host}", limit=3000, seconds=300, now=call.now)
        headers = bluesky_session.limit_headers(3000, left, end, 300)
        if left < 0:
            raise Refused(bluesky_session.rate_limited(headers, end - call.now))
        return headers

    def refusal(self, call: Call, fault: Fault) -> Answer:
        match fault.kind:
            case "rate_limited":
                after = fault.retry_after
                headers = bluesky_session.limit_headers(3000, 0, call.now + after, 300) if after is not None else {}
                return bluesky_session.rate_limited(headers, after)
            case "token_expired":
                return error(400, "ExpiredToken", "Token has expired")
            case "scope_missing":
                return error(403, "ScopeMissingError", 'Missing required scope "rpc:app.bsky.feed.getPosts"')
            case "refuse_refresh":
                return error(400, "ExpiredToken", "Token has been revoked")
            case "upstream_failure":
                return error(502, "UpstreamFailure", "Upstream Failure")
        return error(500, "InternalServerError", "Internal Server Error")

    def post_id(self, account_id: str, at: float) -> str:
        return f"at://{account_id}/{COLLECTION}/{record_key(account_id, at)}"

    def tokens(self, account_id: str, now: float, lifetime: float | None, **extra: Any) -> dict[str, Any]:
        return bluesky_session.grant(account_id, now, lifetime)


def _visible(call: Call, did: str) -> bool:
    return bool(DID.fullmatch(did)) and did not in call.state.deleted and call.state.account(did).active


def _post(call: Call, uri: str) -> dict[str, Any] | None:
    """A post as the AppView shows it, if it is there to be shown."""
    match = _URI.fullmatch(uri)
    if match is None or uri in call.state.deleted or not _visible(call, match.group(1)):
        return None
    did, at = match.group(1), created_at(match.group(2))
    if not 1_600_000_000 <= at <= call.now:
        return None
    counts = numbers(uri, call.now - at)
    post = {
        "uri": uri,
        "cid": f"bafyrei{digest(uri, 52, LETTERS)}",
        "author": _author(call, did),
        "record": {"$type": COLLECTION, "text": f"Sandbox post {uri[-6:]}", "createdAt": iso(at), "langs": ["en"]},
        "bookmarkCount": counts.saves,
        "replyCount": counts.comments,
        "repostCount": counts.shares,
        "likeCount": counts.likes,
        "quoteCount": counts.quotes,
        "indexedAt": iso(min(at + 1, call.now)),
        "labels": [],
    }
    if call.request.bearer() and call.request.host not in PUBLIC_HOSTS:
        post["viewer"] = {"bookmarked": False, "threadMuted": False, "embeddingDisabled": False}
    for name in call.withdrawn():
        post.pop(name, None)
    return post


def _author(call: Call, did: str) -> dict[str, Any]:
    handle = bluesky_identity.handle(call, did)
    return {"did": did, "handle": handle, "displayName": f"Sandbox {handle[:4]}", "labels": []}


def _batch(call: Call, name: str) -> list[str]:
    values = list(dict.fromkeys(call.request.query.get(name, []) + call.request.query.get(f"{name}[]", [])))
    if not values:
        raise invalid(f'Error: Params must have the property "{name}"')
    if len(call.request.query.get(name, values)) > BATCH:
        raise invalid(f"Error: {name} must not have more than {BATCH} elements")
    return values


def _get_posts(wire: Bluesky, call: Call) -> Answer:
    uris = _batch(call, "uris")
    if bad := [uri for uri in uris if not uri.startswith("at://")]:
        raise invalid(f"Error: uris/{uris.index(bad[0])} must be a valid at-uri")
    return Answer({"posts": [post for uri in uris if (post := _post(call, uri)) is not None]})


def _actor(call: Call, actor: str) -> str | None:
    """The DID that a DID or a handle stands for, if there is such an account."""
    if not actor.startswith("did:"):
        actor = did_of(actor) if HANDLE.fullmatch(actor) else ""
    return actor if DID.fullmatch(actor) and actor not in call.state.deleted else None


def _profile(call: Call, did: str) -> dict[str, Any]:
    account = call.state.account(did)
    return {
        **_author(call, did),
        "avatar": f"https://cdn.bsky.app/img/avatar/plain/{did}/sandbox@jpeg",
        "associated": {"lists": 0, "feedgens": 0, "starterPacks": 0, "labeler": False},
        "createdAt": iso(joined_at(did)),
        "indexedAt": iso(joined_at(did) + 1),
        "followersCount": followers(did, call.now),
        "followsCount": following(did),
        "postsCount": posts_count(did, call.now, posts=account.posts, span_days=account.span_days),
    }


def _known(call: Call, actor: str, message: str) -> str:
    did = _actor(call, actor)
    if did is None:
        raise invalid(message)
    account = call.state.account(did)
    if not account.active:
        down = account.status == "takendown"
        name = "AccountTakedown" if down else "AccountDeactivated"
        raise Refused(error(400, name, f"Account {'has been taken down' if down else 'is deactivated'}"))
    return did


def _get_profile(wire: Bluesky, call: Call) -> Answer:
    actor = call.request.first("actor")
    if not actor:
        raise invalid('Error: Params must have the property "actor"')
    return Answer(_profile(call, _known(call, actor, "Profile not found")))


def _get_profiles(wire: Bluesky, call: Call) -> Answer:
    dids = [did for actor in _batch(call, "actors") if (did := _actor(call, actor)) and _visible(call, did)]
    return Answer({"profiles": [_profile(call, did) for did in dict.fromkeys(dids)]})


def _page(call: Call, uris: list[str]) -> tuple[list[str], str]:
    """One page of posts and the cursor of the next."""
    size = call.request.first("limit", "50")
    if not size.isdecimal() or not 1 <= int(size) <= 100:
        raise invalid(
            "Error: limit must be between 1 and 100" if size.isdecimal() else "Error: limit must be an integer"
        )
    cursor = call.request.first("cursor")
    if cursor and not TID.fullmatch(cursor):
        raise invalid("Malformed cursor")
    rest = [uri for uri in uris if not cursor or uri.rpartition("/")[2] < cursor]
    page = rest[: int(size)]
    return page, page[-1].rpartition("/")[2] if len(rest) > len(page) else ""


def _get_author_feed(wire: Bluesky, call: Call) -> Answer:
    did = _known(call, call.request.first("actor"), "Profile not found")
    uris = listed(wire, call.state, did, call.now)
    if call.request.first("filter") in ("posts_with_media", "posts_with_video"):
        uris = [uri for uri in uris if mix(uri) & 1]
    page, cursor = _page(call, uris)
    feed = [{"post": post} for uri in page if (post := _post(call, uri)) is not None]
    return Answer({"feed": feed} | ({"cursor": cursor} if cursor else {}))


def _list_records(wire: Bluesky, call: Call) -> Answer:
    did = _known(call, call.request.first("repo"), "Could not find repo")
    page, cursor = _page(call, listed(wire, call.state, did, call.now))
    posts = [post for uri in page if (post := _post(call, uri)) is not None]
    records = [{"uri": post["uri"], "cid": post["cid"], "value": post["record"]} for post in posts]
    return Answer({"records": records} | ({"cursor": cursor} if cursor else {}))


def _resolve_handle(wire: Bluesky, call: Call) -> Answer:
    handle = call.request.first("handle")
    if not HANDLE.fullmatch(handle):
        raise invalid("Error: handle must be a valid handle")
    did = _known(call, handle, "Unable to resolve handle")
    bluesky_identity.remember(call, did, handle)
    return Answer({"did": did})


def _describe_server(wire: Bluesky, call: Call) -> Answer:
    return Answer({"did": f"did:web:{call.request.host}", "availableUserDomains": [".bsky.social"]})


_METHODS = {
    "getPosts": _get_posts,
    "getProfile": _get_profile,
    "getProfiles": _get_profiles,
    "getAuthorFeed": _get_author_feed,
    "listRecords": _list_records,
    "resolveHandle": _resolve_handle,
    "describeServer": _describe_server,
}

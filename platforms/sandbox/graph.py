"""Meta's Graph API: errors, tokens, field lists, paging and batches, as its platforms share them."""

import base64
import json
import re
from collections.abc import Callable, Collection, Iterable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from platforms.sandbox.tokens import Claims, read
from platforms.sandbox.wire import Answer, Call, Refused, SandboxRequest
from platforms.sandbox.world import DAY, activity

BATCH = 50
_VERSION = re.compile(r"/v\d+\.\d+(?=/|$)")
_FIELD = re.compile(r"([a-z_]+)((?:\.[a-z_]+\([^)]*\))*)")
_METRICS = re.compile(r"\.metric\(([^)]*)\)")
_BRACES = re.compile(r"\{[^{}]*\}")


def error(
    message: str, code: int, *, subcode: int = 0, status: int = 400, kind: str = "OAuthException", **more: Any
) -> Answer:
    """An error in the Graph API's envelope."""
    body: dict[str, Any] = {"message": message, "type": kind, "code": code}
    if subcode:
        body["error_subcode"] = subcode
    return Answer({"error": {**body, **more, "fbtrace_id": "AsandboxTrace"}}, status)


def refuse(message: str, code: int, **more: Any) -> Refused:
    """The same, to be raised."""
    return Refused(error(message, code, **more))


def missing(object_id: str) -> Refused:
    """The refusal for an object that is not there, or not this token's."""
    message = (
        f"Unsupported get request. Object with ID '{object_id}' does not exist, cannot be loaded due to missing"
        " permissions, or does not support this operation."
    )
    return refuse(message, 100, subcode=33, kind="GraphMethodException")


def expired() -> Answer:
    """The answer to a token whose time is over."""
    return error(
        "Error validating access token: Session has expired on Monday, 23-Nov-26 00:00:00 PST.", 190, subcode=463
    )


def path_parts(request: SandboxRequest) -> list[str]:
    """The path without its version."""
    return [part for part in _VERSION.sub("", request.path, count=1).split("/") if part]


def parameter(request: SandboxRequest, name: str) -> str:
    """A parameter from the query or the form body."""
    return request.first(name) or (request.form().get(name, "") if request.method == "POST" else "")


def token_text(request: SandboxRequest) -> str:
    """The token that came with a call."""
    return parameter(request, "access_token") or request.bearer()


def check_token(call: Call, token: str, *, platform: str, login: str, prefix: str) -> Claims:
    """Whose token it is; raises as the Graph API refuses it."""
    if not token:
        raise refuse("An access token is required to request this resource.", 104, status=400)
    claims = read(token, prefix)
    if claims is None or claims.platform != platform or claims.extra != login or claims.kind != "access":
        raise refuse("Invalid OAuth access token - Cannot parse access token", 190, status=401)
    if claims.expired(call.now):
        raise Refused(expired())
    if claims.family in call.state.dead or call.state.account(claims.account_id).revoked:
        message = "Error validating access token: The user has not authorized application 1000."
        raise refuse(message, 190, subcode=458)
    return claims


def need(call: Call, scope: str, *, status: int = 403, kind: str = "OAuthException") -> None:
    """Refuse the call if the person did not grant a scope."""
    if not call.allows(scope):
        words = f"(#10) Application does not have permission for this action: {scope}"
        raise refuse(words, 10, status=status, kind=kind)


def fields(text: str) -> dict[str, list[str]]:
    """A field list: each name with the metrics of its expansion, if it has one."""
    found = {}
    for match in _FIELD.finditer(_BRACES.sub("", text)):
        metrics = _METRICS.search(match.group(2))
        found[match.group(1)] = [one.strip() for one in metrics.group(1).split(",") if one.strip()] if metrics else []
    return found


def check_fields(asked: Iterable[str], known: Collection[str]) -> None:
    """Refuse a field that there is not."""
    for name in asked:
        if name not in known:
            raise refuse(f"(#100) Tried accessing nonexisting field ({name})", 100)


def iso(at: float) -> str:
    """An instant as the Graph API writes it."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S+0000")


def instant(request: SandboxRequest, name: str, default: float) -> float:
    """A parameter that is a unix timestamp."""
    text = request.first(name)
    if text and not re.fullmatch("[0-9]{1,10}", text):
        raise refuse(f"(#100) {name} must be a unix timestamp", 100)
    return float(text) if text else default


def page(request: SandboxRequest, ids: list[str]) -> tuple[list[str], dict[str, Any]]:
    """One page of ids and its `paging`; the URL of the next page has the token in it, as the real one does."""
    limit = request.first("limit", "25")
    if not limit.isdecimal() or int(limit) < 1:
        raise refuse("(#100) Param limit must be a positive number", 100)
    after, start = request.first("after"), 0
    if after:
        last = _cursor_id(after)
        start = next((index + 1 for index, one in enumerate(ids) if one == last), len(ids))
    found = ids[start : start + min(int(limit), 100)]
    if not found:
        return [], {}
    cursors = {"before": _cursor(found[0]), "after": _cursor(found[-1])}
    paging: dict[str, Any] = {"cursors": cursors}
    if start + len(found) < len(ids):
        query = {name: values[0] for name, values in request.query.items()}
        query |= {"after": cursors["after"], "access_token": token_text(request)}
        paging["next"] = f"https://{request.host}{request.path}?{urlencode(query)}"
    return found, paging


def _cursor(object_id: str) -> str:
    return base64.urlsafe_b64encode(f"QVFI:{object_id}".encode()).decode()


def _cursor_id(text: str) -> str:
    try:
        return base64.urlsafe_b64decode(text).decode().removeprefix("QVFI:")
    except ValueError:
        raise refuse("(#100) Invalid cursor", 100) from None


def usage(account_id: str, kind: str, *, percent: int, minutes: int) -> dict[str, str]:
    """The usage headers: percent of what an account may do, and the minutes until it may again."""
    times = {"total_cputime": percent // 2, "total_time": percent // 2}
    case = {"type": kind, "call_count": percent, **times, "estimated_time_to_regain_access": minutes}
    return {
        "X-App-Usage": json.dumps({"call_count": min(percent, 99), **times}),
        "X-Business-Use-Case-Usage": json.dumps({account_id: [case]}),
    }


def lifetime(object_id: str, name: str, value: Any, period: str = "lifetime") -> dict[str, Any]:
    """One metric of an object, as insights answer it."""
    title = name.replace("_", " ").capitalize()
    entry = {"name": name, "period": period, "values": [{"value": value}], "title": title, "description": f"{title}."}
    return {**entry, "id": f"{object_id}/insights/{name}/{period}"}


def days(account_id: str, name: str, *, since: float, until: float, scale: float = 1.0) -> list[dict[str, Any]]:
    """A metric's value for each day that ended in a window; days end at 08:00 UTC."""
    ends = (day * DAY + 8 * 3600 for day in range(int(since // DAY) - 1, int(until // DAY) + 2))
    return [
        {"value": int(activity(account_id, name, since=end - DAY, until=end) * scale), "end_time": iso(end)}
        for end in ends
        if since < end <= until
    ]


def batch(call: Call) -> Answer:
    """The answers to up to 50 requests, in order, each a call of its own."""
    handle = call.handle
    try:
        parts = json.loads(parameter(call.request, "batch"))
    except ValueError:
        parts = None
    if not isinstance(parts, list) or not all(isinstance(part, dict) for part in parts) or handle is None:
        raise refuse("(#100) Invalid parameter", 100)
    if len(parts) > BATCH:
        raise refuse(f"Too many requests in batch message. Maximum batch size is {BATCH}", 100)
    with_headers = parameter(call.request, "include_headers") != "false"
    return Answer([_batched(call, handle, part, with_headers=with_headers) for part in parts])


def _batched(call: Call, handle: Callable[..., Any], part: dict[str, Any], *, with_headers: bool) -> dict[str, Any]:
    url = urlsplit("/" + str(part.get("relative_url", "")).lstrip("/"))
    query = parse_qs(url.query, keep_blank_values=True)
    query.setdefault("access_token", [token_text(call.request)])
    response = handle(SandboxRequest(str(part.get("method", "GET")), call.request.host, url.path, query), call.now)
    item: dict[str, Any] = {"code": response.status, "body": response.body.decode()}
    if with_headers:
        item["headers"] = [{"name": name, "value": value} for name, value in response.headers.items()]
    return item

"""Everything that can go wrong on purpose.

Kinds that replace the answer: `status` (`status`, `body`, `headers`), `server_error`, `non_json` (`status`), `empty`,
`html_429`, `redirect` (`location`), and in the platform's own form `rate_limited` (`retry_after` seconds, or no time
named), `token_expired`, `scope_missing`, `refuse_refresh`, and what a platform adds (`own_faults`).
Kinds that change a good answer: `wrong_types`, `nan`, `nul`, `huge_int`, `negative`, `half_missing`, `withdrawn`
(`metric`), and for X `item_error` (`id`, `problem`).
Kinds of the consent page: `denied` (the person says no, whatever is pressed), `withheld` (they do not grant `scope`),
`expired_code` (the code is too old when it arrives).
Kinds of the connection: `close`, `hang`, `drip` (`variant` headers or body, `seconds` per byte), `truncated`, `huge`.
`processed`: whether the call takes effect (a token rotates) although its answer is replaced or lost.
"""

import itertools
import re
from collections.abc import Callable, Iterator
from typing import Any

from platforms.sandbox.state import CONSENT_FAULTS, Fault
from platforms.sandbox.wire import Answer, Call, SandboxRequest, Wire

PLAIN = frozenset({"status", "non_json", "empty", "html_429", "redirect"})
OWN_FORM = frozenset({"rate_limited", "server_error", "token_expired", "scope_missing", "refuse_refresh"})
CHANGED = frozenset({"wrong_types", "nan", "nul", "huge_int", "negative", "half_missing"})
SOFT = frozenset({"withdrawn", "item_error"}) | CONSENT_FAULTS
TRANSPORT = frozenset({"close", "hang", "drip", "truncated", "huge"})
UNANSWERED = frozenset({"close", "hang"})
KINDS = PLAIN | OWN_FORM | CHANGED | SOFT | TRANSPORT

_HTML = b"<!DOCTYPE html><html><head><title>Error</title></head><body><h1>Something went wrong</h1></body></html>"
_NOT_COUNTS = frozenset({"code", "error_subcode", "status", "expires_in", "width", "height", "result_count", "exp"})
_TEXTS = frozenset({"text", "name", "title", "description", "caption", "username", "displayName", "detail", "message"})


def matching(wire: Wire, call: Call) -> Iterator[Fault]:
    """The faults that concern a call, in order, each used once; a replaced answer ends the list."""
    for fault in tuple(call.state.faults):
        if fault.group and fault.group != call.group:
            continue
        if fault.id and not mentions(call.request, fault.id):
            continue
        if fault.kind == "withdrawn" and not concerns_metric(call.request, fault.metric):
            continue
        if not wire.can_refuse(fault.kind, call) or not call.state.consume(fault):
            continue
        yield fault
        if replaces(wire, fault):
            return


def replaces(wire: Wire, fault: Fault) -> bool:
    """Whether nothing of the real answer is left."""
    return fault.kind in PLAIN or fault.kind in OWN_FORM or fault.kind in wire.own_faults or fault.kind in UNANSWERED


def mentions(request: SandboxRequest, text: str) -> bool:
    """Whether a request names an id."""
    return (
        text in request.path
        or any(text in value for values in request.query.values() for value in values)
        or text.encode() in request.body
    )


def concerns_metric(request: SandboxRequest, metric: str) -> bool:
    """Whether a request asks for a metric by name, or by no name at all, as those do that answer with everything."""
    named = [
        value
        for name, values in request.query.items()
        if name in ("metric", "metric_types", "queryType", "fields")
        for value in values
    ]
    word = re.compile(rf"(?<![a-z_]){re.escape(metric)}(?![a-z_])")
    return not named or any(word.search(value) for value in named)


def plain(fault: Fault) -> Answer:
    """The answer that a proxy or a broken server would give."""
    html = {"Content-Type": "text/html; charset=utf-8", **fault.headers}
    if fault.kind == "status":
        body = fault.body.encode() if isinstance(fault.body, str) else fault.body
        return Answer({} if body is None else body, fault.status or 503, dict(fault.headers))
    if fault.kind == "html_429":
        named = {} if fault.retry_after is None else {"Retry-After": str(int(fault.retry_after))}
        return Answer(_HTML, 429, {**html, **named})
    if fault.kind == "redirect":
        return Answer(b"", 302, {"Location": fault.location or "https://example.com/login", **fault.headers})
    if fault.kind == "empty":
        return Answer(b"", 200, {"Content-Type": "application/json", **fault.headers})
    return Answer(_HTML, fault.status or 502, html)


def change(payload: Any, fault: Fault) -> Any:
    """A good answer, spoilt; with `id`, only the item of that id where the answer has it."""
    if fault.kind == "half_missing":
        return _halved(payload)
    spoil = _SPOILERS[fault.kind]()
    if fault.id and _has_item(payload, fault.id):
        return _spoil_item(payload, fault.id, spoil)
    return _walk(payload, spoil)


Spoiler = Callable[[str, Any], Any]


def _wrong_types() -> Spoiler:
    shapes: Iterator[Callable[[int], Any]] = itertools.cycle(
        (str, lambda n: {"value": n}, lambda n: [n], lambda n: f"{n}K")
    )
    return lambda key, value: next(shapes)(value) if _is_count(key, value) else value


def _nan() -> Spoiler:
    literals = itertools.cycle((float("nan"), float("inf"), float("-inf")))
    return lambda key, value: next(literals) if _is_count(key, value) else value


def _counts(new: Callable[[int], int]) -> Callable[[], Spoiler]:
    return lambda: lambda key, value: new(value) if _is_count(key, value) else value


def _nul() -> Spoiler:
    return lambda key, value: f"{value}\x00\ud800" if isinstance(value, str) and key in _TEXTS else value


_SPOILERS: dict[str, Callable[[], Spoiler]] = {
    "wrong_types": _wrong_types,
    "nan": _nan,
    "huge_int": _counts(lambda _: 10**30),
    "negative": _counts(lambda n: -n - 1),
    "nul": _nul,
}


def _is_count(key: str, value: Any) -> bool:
    return type(value) is int and key not in _NOT_COUNTS


def _walk(node: Any, spoil: Spoiler, key: str = "") -> Any:
    if isinstance(node, dict):
        return {name: _walk(value, spoil, name) for name, value in node.items()}
    if isinstance(node, list):
        return [_walk(value, spoil, key) for value in node]
    return spoil(key, node)


def _is_item(node: Any, item_id: str) -> bool:
    return isinstance(node, dict) and item_id in (node.get("id"), node.get("uri"))


def _has_item(node: Any, item_id: str) -> bool:
    children = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    return _is_item(node, item_id) or any(_has_item(child, item_id) for child in children)


def _spoil_item(node: Any, item_id: str, spoil: Spoiler) -> Any:
    if _is_item(node, item_id):
        return _walk(node, spoil)
    if isinstance(node, dict):
        return {name: _spoil_item(value, item_id, spoil) for name, value in node.items()}
    if isinstance(node, list):
        return [_spoil_item(value, item_id, spoil) for value in node]
    return node


def _halved(payload: Any) -> Any:
    """Every second item of the answer's lists is gone, without a word."""
    if not isinstance(payload, dict):
        return payload
    if isinstance(payload.get("data"), dict):
        return payload | {"data": _halved(payload["data"])}
    return {
        name: value[::2] if isinstance(value, list) and name != "errors" else value for name, value in payload.items()
    }

"""The control endpoint: JSON, loopback only, never counted and never late.

GET  /_control                                     everything below, per platform, with `calls` and `in_flight_max`
GET  /_control/calls/{key}                         the newest calls: what was asked, in which group, and the status
POST /_control/reset                               forget everything, as a restart would
POST /_control/platforms/{key, or `all`}           any of `latency_ms`, `faults` (a list that replaces the one there is,
                                                   see `faults.py`) and the platform's switches
    Every platform with OAuth has the switches `consent` (`ask`: its consent page waits for somebody; `allow` and `deny`
    answer at once, for tests without a browser) and `code_lifetime` (seconds). Which account it offers first is said by
    `account_id` or `login_hint` in the page's address. Where Facebook is asked with a `config_id` in place of scopes,
    one that contains `instagram` is a configuration for Instagram.
POST /_control/posts/delete                        {"platform", "ids"}; `/posts/restore` undoes it
POST /_control/accounts                            {"platform", "account_id"} and any of `posts`, `span_days` (what the
    account lists), `revoked`, `active`, `status`, `login`, `pds`, `handle`, `app_password` (the only one that is right;
    else any that looks like one), `token_lifetime` (seconds, may be negative), `token_age` (how long ago the token was
    made), `app_only`; answers with new tokens and the ids of the listed posts
GET  /_control/accounts/{platform}/{account_id}/posts    the ids of the listed posts
"""

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any
from urllib.parse import unquote

from platforms.sandbox import faults
from platforms.sandbox.registry import PLATFORMS
from platforms.sandbox.state import AccountState, Fault, PlatformState
from platforms.sandbox.wire import Answer, SandboxRequest, Wire, listed

LOGINS = ("", "instagram", "facebook")
States = Mapping[str, PlatformState]
_FAULT_FIELDS = {field.name for field in fields(Fault)}
_ACCOUNT_FIELDS = {field.name for field in fields(AccountState)} - {"since"}
_ACCOUNT_NUMBERS = {"posts", "span_days", "token_lifetime", "token_age"}
_FAULT_NUMBERS = {"times", "status", "retry_after", "seconds"}
_TOKEN_FIELDS = {"token_lifetime", "token_age", "app_only"}


class BadControl(ValueError):
    """The control endpoint does not understand a request."""


def answer(states: States, request: SandboxRequest, now: float) -> Answer:
    """The answer to a control request."""
    parts = [unquote(part) for part in request.path.strip("/").split("/") if part]
    body = request.json() if request.body else {}
    try:
        if not isinstance(body, dict):
            raise BadControl("the body must be a JSON object")
        return Answer(_dispatch(states, request.method, parts, body, now))
    except BadControl as error:
        return Answer({"error": str(error)}, 400)


def _dispatch(states: States, method: str, parts: list[str], body: dict[str, Any], now: float) -> Any:
    match method, parts:
        case "GET", []:
            return {"platforms": {key: _show(state) for key, state in states.items()}}
        case "GET", ["calls", key]:
            return {"calls": list(_state(states, key).recent)}
        case "POST", ["reset"]:
            for state in states.values():
                state.reset()
            return {}
        case "POST", ["platforms", key]:
            return _set_platforms(states, key, body)
        case "POST", ["posts", ("delete" | "restore") as action]:
            return _set_deleted(states, action, body)
        case "POST", ["accounts"]:
            return _set_account(states, body, now)
        case "GET", ["accounts", key, account_id, "posts"]:
            return {"post_ids": listed(PLATFORMS[key], _state(states, key), account_id, now)}
    raise BadControl("unknown control path; see platforms/sandbox/control.py")


def _state(states: States, key: object) -> PlatformState:
    if key not in states:
        raise BadControl(f"unknown platform {key!r}; known: {', '.join(states)}")
    return states[str(key)]


def _show(state: PlatformState) -> dict[str, Any]:
    with state.lock:
        return {
            "calls": {"total": state.total, **state.calls},
            "in_flight_max": state.in_flight_max,
            "latency_ms": state.latency_ms,
            "faults": [asdict(fault) for fault in state.faults],
            "switches": dict(state.switches),
            "deleted": sorted(state.deleted),
            "accounts": {account_id: asdict(account) for account_id, account in state.accounts.items()},
        }


def _set_platforms(states: States, key: str, body: dict[str, Any]) -> dict[str, Any]:
    keys = list(states) if key == "all" else [key]
    for one in keys:
        _check_platform(PLATFORMS[one], _state(states, one), body) if one in states else _state(states, one)
    for one in keys:
        _set_platform(states[one], body)
    return {"platforms": {one: _show(states[one]) for one in keys}}


def _check_platform(wire: Wire, state: PlatformState, body: dict[str, Any]) -> None:
    if unknown := set(body) - set(state.switches) - {"latency_ms", "faults"}:
        raise BadControl(f"{wire.key} has no switch {sorted(unknown)}; known: {sorted(state.switches)}")
    if not isinstance(body.get("latency_ms", 0), int | float):
        raise BadControl("latency_ms must be a number")
    for fault in body.get("faults", ()):
        _check_fault(wire, fault)


def _check_fault(wire: Wire, fault: Any) -> None:
    if not isinstance(fault, dict) or set(fault) - _FAULT_FIELDS:
        raise BadControl(f"a fault is an object with fields of {sorted(_FAULT_FIELDS)}, not {fault!r}")
    _check_numbers(fault, _FAULT_NUMBERS)
    kinds = faults.KINDS | wire.own_faults
    if fault.get("kind") not in kinds:
        raise BadControl(f"unknown fault kind {fault.get('kind')!r}; known: {sorted(kinds)}")


def _check_numbers(body: Mapping[str, Any], names: set[str]) -> None:
    for name in names & set(body):
        if type(body[name]) not in (int, float) and (body[name] is not None or name in ("posts", "span_days")):
            raise BadControl(f"{name} must be a number")


def _set_platform(state: PlatformState, body: dict[str, Any]) -> None:
    with state.lock:
        if "latency_ms" in body:
            state.latency_ms = float(body["latency_ms"])
        if "faults" in body:
            state.faults = [Fault(**fault) for fault in body["faults"]]
        state.switches.update({name: value for name, value in body.items() if name in state.switches})


def _set_deleted(states: States, action: str, body: dict[str, Any]) -> dict[str, Any]:
    state, ids = _state(states, body.get("platform")), body.get("ids")
    if not isinstance(ids, list):
        raise BadControl("ids must be a list")
    with state.lock:
        state.deleted = state.deleted | set(ids) if action == "delete" else state.deleted - set(ids)
        return {"deleted": len(state.deleted)}


def _set_account(states: States, body: dict[str, Any], now: float) -> dict[str, Any]:
    key, account_id = body.get("platform"), str(body.get("account_id") or "")
    state = _state(states, key)
    if unknown := set(body) - _ACCOUNT_FIELDS - _TOKEN_FIELDS - {"platform", "account_id"}:
        raise BadControl(f"an account has no {sorted(unknown)}; known: {sorted(_ACCOUNT_FIELDS | _TOKEN_FIELDS)}")
    if not account_id:
        raise BadControl("account_id is missing")
    _check_numbers(body, _ACCOUNT_NUMBERS)
    if body.get("posts", 0) < 0 or body.get("span_days", 1) <= 0 or body.get("login", "") not in LOGINS:
        raise BadControl(f"posts and span_days must be positive, login one of {LOGINS}")
    changes = {name: value for name, value in body.items() if name in _ACCOUNT_FIELDS}
    if {"posts", "span_days"} & set(changes):
        changes["since"] = now
    account = state.set_account(account_id, changes) if changes else state.account(account_id)
    wire = PLATFORMS[str(key)]
    extra = {"app_only": body.get("app_only", False)} | ({"login": account.login} if account.login else {})
    lifetime, age = body.get("token_lifetime"), body.get("token_age", 0)
    tokens = wire.tokens(account_id, now - age, None if lifetime is None else lifetime + age, **extra)
    return {"account_id": account_id, **tokens, "post_ids": listed(wire, state, account_id, now)}

"""The sandbox without sockets: a request and a clock in, a response out."""

import re
from collections.abc import Callable
from typing import Any

from platforms.sandbox import control, faults
from platforms.sandbox.registry import PLATFORMS, wire_for
from platforms.sandbox.state import Fault, PlatformState
from platforms.sandbox.wire import Answer, Call, Refused, SandboxRequest, SandboxResponse, Wire

__all__ = ["Sandbox", "SandboxRequest", "SandboxResponse"]

CONTROL = "_control"
_SECRET = re.compile("token|secret|code")


class Sandbox:
    """All platforms with their memory. Safe to call from many threads."""

    def __init__(self) -> None:
        self.states = {key: PlatformState(wire.switches) for key, wire in PLATFORMS.items()}

    def handle(
        self, request: SandboxRequest, now: float, *, pause: Callable[[float], object] | None = None
    ) -> SandboxResponse:
        """The response of the platform that the request's host belongs to, at the instant `now`.

        `pause` waits out the platform's latency; without it there is none.
        """
        if request.host == CONTROL:
            return control.answer(self.states, request, now).render()
        wire = wire_for(request)
        if wire is None:
            return Answer({"error": f"the sandbox knows no platform at {request.host!r}"}, 404).render()
        state = self.states[wire.key]
        state.count(group := wire.group(request))
        state.enter()
        try:
            if pause and state.latency_ms:
                pause(state.latency_ms / 1000)
            response = self._answer(wire, Call(request, group, now, state, handle=self._part))
            state.recent.append(_noted(request, group, now, response.status))
            return response
        finally:
            state.leave()

    def _part(self, request: SandboxRequest, now: float) -> SandboxResponse:
        """The response to one part of a batch call."""
        wire = wire_for(request)
        if wire is None:
            return Answer({}, 404).render()
        state = self.states[wire.key]
        group = f"batched_{wire.group(request)}"
        state.count_part(group)
        return self._answer(wire, Call(request, group.removeprefix("batched_"), now, state))

    def _answer(self, wire: Wire, call: Call) -> SandboxResponse:
        """The platform's answer, with the faults that concern the call."""
        found = list(faults.matching(wire, call))
        call.soft_faults = [fault for fault in found if fault.kind in faults.SOFT]
        last = found[-1] if found else None
        if last is None or not faults.replaces(wire, last):
            answer = _spoilt(_asked(wire, call), found)
        else:
            if last.processed:
                _asked(wire, call)
            answer = _replaced(wire, call, last)
        response = answer.render()
        response.transport = next((fault for fault in found if fault.kind in faults.TRANSPORT), None)
        return response


def _noted(request: SandboxRequest, group: str, now: float, status: int) -> dict[str, Any]:
    """What the control endpoint tells of a call: no token, no body."""
    query = {name: values for name, values in request.query.items() if not _SECRET.search(name)}
    address = {"method": request.method, "host": request.host, "path": request.path, "query": query}
    return {"at": now, "group": group, "status": status, **address}


def _asked(wire: Wire, call: Call) -> Answer:
    try:
        return wire.answer(call)
    except Refused as refused:
        return refused.answer


def _spoilt(answer: Answer, found: list[Fault]) -> Answer:
    for fault in found:
        if fault.kind in faults.CHANGED and answer.status == 200:
            answer.payload = faults.change(answer.payload, fault)
    return answer


def _replaced(wire: Wire, call: Call, fault: Fault) -> Answer:
    if fault.kind in faults.UNANSWERED:
        return Answer(b"", 503)
    answer = faults.plain(fault) if fault.kind in faults.PLAIN else wire.refusal(call, fault)
    answer.headers.update(fault.headers)
    return answer

"""Bluesky: from a handle to its DID, and from a DID to the document that names its PDS."""

from typing import Any

from platforms.sandbox.bluesky_ids import DID, HANDLE, did_of, handle_of
from platforms.sandbox.wire import Answer, Call, SandboxRequest

PLC = "plc.directory"
DEFAULT_PDS = "https://bsky.social"
_OF_HANDLE, _OF_WEB = "/.well-known/atproto-did", "/.well-known/did.json"
_TEXT = {"Content-Type": "text/plain; charset=utf-8"}


def knows(request: SandboxRequest) -> bool:
    """Whether a call, to whatever host, asks who somebody is."""
    return request.host == PLC or request.path in (_OF_HANDLE, _OF_WEB)


def handle(call: Call, did: str) -> str:
    """An account's handle: the one it was found by, else the one that its DID makes."""
    return call.state.account(did).handle or handle_of(did)


def remember(call: Call, did: str, found: str) -> None:
    """Note the handle that an account was found by, so that its document names it, too."""
    if found not in (did, handle(call, did)):
        call.state.set_account(did, {"handle": found})


def pds(call: Call, did: str, default: str = DEFAULT_PDS) -> str:
    """The origin of an account's PDS."""
    named = call.state.account(did).pds or default
    return named if "://" in named else f"https://{named}"


def document(call: Call, did: str, default: str = DEFAULT_PDS) -> dict[str, Any]:
    """What a DID stands for."""
    endpoint = pds(call, did, default)
    key = {"id": f"{did}#atproto", "type": "Multikey", "controller": did, "publicKeyMultibase": "zQ3shSandboxKey"}
    return {
        "@context": ["https://www.w3.org/ns/did/v1", "https://w3id.org/security/multikey/v1"],
        "id": did,
        "alsoKnownAs": [f"at://{handle(call, did)}"],
        "verificationMethod": [key],
        "service": [{"id": "#atproto_pds", "type": "AtprotoPersonalDataServer", "serviceEndpoint": endpoint}],
    }


def answer(call: Call) -> Answer:
    """The directory, and what a domain says of itself."""
    request = call.request
    if request.method != "GET":
        return Answer({"message": "Method Not Allowed"}, 405)
    if request.host == PLC:
        return _registered(call, request.path.strip("/"))
    if request.path == _OF_WEB:
        did = f"did:web:{request.host}"
        there = HANDLE.fullmatch(request.host) and did not in call.state.deleted
        return Answer(document(call, did)) if there else Answer({"message": "Not Found"}, 404)
    did = did_of(request.host)
    if not HANDLE.fullmatch(request.host) or did in call.state.deleted:
        return Answer(b"User not found", 404, dict(_TEXT))
    remember(call, did, request.host)
    return Answer(did.encode(), 200, dict(_TEXT))


def _registered(call: Call, did: str) -> Answer:
    if not did.startswith("did:plc:") or not DID.fullmatch(did):
        return Answer({"message": f"DID not registered: {did}"}, 404)
    if did in call.state.deleted:
        return Answer({"message": f"DID not available: {did}"}, 410)
    answer = Answer(document(call, did))
    answer.headers["Content-Type"] = "application/did+ld+json"
    return answer

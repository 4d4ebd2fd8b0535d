"""Bluesky: from a handle to its DID and PDS, and a session there by an app password."""

import re
from collections.abc import Mapping
from typing import Any

from platforms.base import Account, Call, Platform, Request, same_account
from platforms.consent import Candidate
from platforms.errors import AccountNotFound, PasswordRefused, PlatformError, Rejected, Scope, TokenExpired
from platforms.oauth import TokenSet, parse_tokens
from platforms.payloads import lookup

APPVIEW = "https://public.api.bsky.app/xrpc/"
PLC = "https://plc.directory/"
SESSION_GROUP = "session"
# https://atproto.com/specs/did, /specs/handle
DID = r"did:[a-z]+:[A-Za-z0-9._:%-]{0,2000}[A-Za-z0-9._-]"
HANDLE = r"(?=.{1,253}$)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?"
INVALID = "handle.invalid"
"""What an account is called whose handle does not lead to it."""
FEWEST = 1000
"""The limits of an account have fewer calls than this, those of a host more."""


class BlueskyIdentity(Platform):
    """Connecting by handle and app password."""

    no_consent = "Bluesky accounts are connected by handle and app password, not by an OAuth app."

    # https://atproto.com/specs/handle#handle-resolution, https://atproto.com/specs/did#did-documents
    def identify(self, name: str) -> Call[Candidate]:
        is_did = re.fullmatch(DID, name)
        did = name if is_did else (yield from _did_of(name.lower()))
        profile = Request(APPVIEW + "app.bsky.actor.getProfile", params={"actor": did}, auth="none", group="getProfile")
        document, told = yield _document(did), profile
        if isinstance(document, Rejected):
            raise AccountNotFound(f"There is no account {did[:100]}.")
        if isinstance(document, PlatformError):
            raise document
        if document["id"] != did:
            raise ValueError("expected the document of the DID")
        shown = {} if isinstance(told, PlatformError) else told
        handle, display, image = (str(shown.get(each) or "") for each in ("handle", "displayName", "avatar"))
        if handle in ("", INVALID):
            handle = "" if is_did else name.lower()
        return Candidate(did, handle, display, image, extra={"pds_host": _pds(document)})

    # https://docs.bsky.app/docs/api/com-atproto-server-create-session
    def sign_in(self, account: Account, password: str) -> Call[TokenSet]:
        try:
            session = yield Request(
                "com.atproto.server.createSession",
                method="POST",
                json={"identifier": account.network_unique_id, "password": password},
                auth="none",
                group=SESSION_GROUP,
                foreign=True,
            )
        except TokenExpired as error:
            raise PasswordRefused(f"The account's server does not take the app password: {error.detail}") from error
        same_account(account.network_unique_id, session["did"])
        if session.get("active") is False:
            raise AccountNotFound(f"The account is {session.get('status') or 'not active'}.")
        return parse_tokens(self.refresh, session)


def limited_scope(headers: Mapping[str, str]) -> Scope:
    """Whose window the headers tell of: that of an account's few sessions, or that of all calls to a host."""
    limit = headers.get("ratelimit-limit", "")
    return "account" if limit.isascii() and limit.isdecimal() and int(limit[:9]) < FEWEST else "host"


def _did_of(handle: str) -> Call[str]:
    if not re.fullmatch(HANDLE, handle):
        raise AccountNotFound(f"{handle[:100]} is no handle such as jane.bsky.social, and no DID.")
    try:
        answer = yield Request(
            APPVIEW + "com.atproto.identity.resolveHandle", params={"handle": handle}, auth="none", group="identity"
        )
    except Rejected as error:
        raise AccountNotFound(f"There is no handle {handle}.") from error
    did = answer["did"]
    if not re.fullmatch(DID, did):
        raise ValueError("expected a DID")
    return str(did)


def _document(did: str) -> Request:
    """Where a DID's document is: in the directory, or at the domain that the DID names."""
    method, _, rest = did.removeprefix("did:").partition(":")
    if method == "web" and re.fullmatch(HANDLE, rest):
        return Request(f"https://{rest}/.well-known/did.json", auth="none", group="did.json", foreign=True)
    if method != "plc":
        raise AccountNotFound(f"{did[:100]} is a DID of a kind that Bluesky does not use.")
    return Request(PLC + did, auth="none", group="plc")


def _pds(document: Any) -> str:
    for service in document.get("service") or ():
        if str(lookup(service, "id")).endswith("#atproto_pds"):
            return str(service["serviceEndpoint"])
    raise AccountNotFound("The account has no server any more: its DID document names none.")

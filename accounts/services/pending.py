"""What a consent found, held until it is chosen from: a pending session, which its token opens once."""

import hashlib
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.core.serializers.json import DjangoJSONEncoder
from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from accounts.models import ConnectSession, SocialAccount
from accounts.services import connections, crypto, networks
from platforms.base import Platform
from platforms.consent import Candidate
from platforms.grants import Loss, losses
from platforms.oauth import TokenSet
from platforms.payloads import clean

PENDING_LIVES = timedelta(minutes=30)
KEPT_FOR = timedelta(days=1)
"""How long it is known of a session that it has ended."""
TIMES = ("token_expires_at", "refresh_expires_at")
Given = dict[str, Any]


class ConsentFailed(Exception):
    """A consent led nowhere. `code` and `detail` are for whoever asked for it; without `session` nobody is known."""

    def __init__(
        self, code: str, detail: str, session: ConnectSession | None = None, *, retryable: bool = False
    ) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = clean(detail)[:300]
        self.session = session
        self.retryable = retryable


class Ended(Exception):
    """A pending session has expired, or was used; the message says which."""


class Used(Ended):
    """A pending session was used: accounts were connected by it."""


class Unoffered(ValueError):
    """Ids that a pending session does not offer."""


@dataclass(frozen=True)
class Granted:
    """What a consent led to. `missing` are scopes that were asked for and not granted."""

    tokens: TokenSet
    scopes: tuple[str, ...]
    missing: tuple[str, ...]
    candidates: tuple[Candidate, ...]


@dataclass(frozen=True)
class Offer:
    """One account that can be connected. `given` is what connecting it is given, tokens included."""

    given: Given
    account_id: UUID | None = None
    """The account that it is already."""

    @property
    def id(self) -> str:
        """What the account is chosen by."""
        return str(self.given["network_unique_id"])


@dataclass(frozen=True)
class Pending:
    """A pending session as it is shown."""

    session: ConnectSession
    missing_scopes: list[str]
    warnings: list[Loss]
    data: list[Offer]


# --- holding ---------------------------------------------------------------------------------------------------------


def hold(session: ConnectSession, granted: Granted) -> str:
    """Make a session pending; returns its token. ConsentFailed if there is nothing to connect, or the wrong account."""
    platform = networks.platform_of(session.social_network)
    found = [_given(platform, each, granted) for each in granted.candidates]
    if not found:
        raise _nothing(platform, granted)
    if session.account is not None:
        found = [each for each in found if each["network_unique_id"] == session.account.network_unique_id]
        if not found:
            raise ConsentFailed("wrong_account", f"The consent is not one for {session.account}.")
    token = secrets.token_urlsafe(32)
    payload = {"scopes": granted.scopes, "missing": granted.missing, "accounts": found}
    session.payload = crypto.encrypt(json.dumps(payload, cls=DjangoJSONEncoder))
    session.token_hash, session.verifier = _hash(token), ""
    session.expires_at = timezone.now() + PENDING_LIVES
    session.save(update_fields=["payload", "token_hash", "verifier", "expires_at"])
    return token


def _nothing(platform: Platform, granted: Granted) -> ConsentFailed:
    if granted.missing:
        return ConsentFailed("scope_missing", f"Not granted, and needed: {', '.join(granted.missing)}.")
    return ConsentFailed("nothing_to_connect", f"The consent reaches no account on {platform.label} to be measured.")


def _given(platform: Platform, candidate: Candidate, granted: Granted) -> Given:
    """What connecting a candidate is given. A token of its own comes without the grant's refresh token."""
    tokens = granted.tokens
    if candidate.access_token:
        tokens = TokenSet(candidate.access_token, expires_at=candidate.expires_at)
    return {**connections.given_of(platform.key, candidate, tokens), "scopes": list(granted.scopes)}


# --- choosing --------------------------------------------------------------------------------------------------------


def find(token: str, **scope: Any) -> ConnectSession | None:
    """The session that a token opens; `scope` may narrow it to an organization and mode."""
    sessions = ConnectSession.objects.select_related("social_network", "organization")
    return sessions.filter(token_hash=_hash(token), **scope).first()


def offers(session: ConnectSession) -> list[Offer]:
    """What can be connected, with the accounts that are connected already. Raises Ended."""
    given = _payload(session)["accounts"]
    alive = SocialAccount.objects.filter(
        organization_id=session.organization_id,
        mode=session.mode,
        platform=session.social_network.platform,
        deleted_at=None,
        network_unique_id__in=[each["network_unique_id"] for each in given],
    )
    known = dict(alive.values_list("network_unique_id", "pk"))
    return [Offer(_timed(each), known.get(each["network_unique_id"])) for each in given]


def view(session: ConnectSession) -> Pending:
    """What a session offers, and what it lacks. Raises Ended."""
    network = session.social_network
    warnings = losses(networks.platform_of(network), networks.grant_of(network), _payload(session)["scopes"])
    return Pending(session, missing_scopes(session), warnings, offers(session))


def missing_scopes(session: ConnectSession) -> list[str]:
    """What was asked for and not granted. Raises Ended."""
    missing: list[str] = _payload(session)["missing"]
    return missing


def finalize(session: ConnectSession, ids: Sequence[str]) -> list[SocialAccount]:
    """Connect what was chosen, all of it or nothing; the session is used. In the order of `ids`.

    Raises Ended, and Unoffered without using the session.
    """
    offered = {each.id: each.given for each in offers(session)}
    unknown = [each for each in ids if each not in offered]
    if unknown:
        raise Unoffered(", ".join(unknown))
    more: Given = {"social_network_id": session.social_network_id}
    if session.tenant_id:
        more["tenant_id"] = session.tenant_id
    with transaction.atomic():
        _use_up(session, chosen=list(dict.fromkeys(ids)))
        # In one order, so that two sessions do not wait for each other's rows.
        made = {each: _connect(session, {**offered[each], **more}) for each in sorted(set(ids))}
    return [made[each] for each in dict.fromkeys(ids)]


def _connect(session: ConnectSession, given: Given) -> SocialAccount:
    return connections.connect(session.organization_id, session.mode, given, consented=True)[0]


def _use_up(session: ConnectSession, *, chosen: list[str]) -> None:
    rows = ConnectSession.objects.filter(pk=session.pk)
    unused = rows.filter(finalized_at=None, expires_at__gt=Now())
    if not unused.update(finalized_at=Now(), payload="", chosen=chosen):
        raise _ended(rows.first() or session)


def _ended(session: ConnectSession) -> Ended:
    if session.finalized_at is None:
        return Ended("The pending session has expired.")
    return Used(f"The pending session was used already: {outcome(session)}.")


def outcome(session: ConnectSession) -> str:
    """What a used session connected, and when."""
    count = len(session.chosen)
    what = "1 account was" if count == 1 else f"{count or 'some'} accounts were"
    return f"{what} connected at {session.finalized_at:%Y-%m-%d %H:%M} UTC"


def connected(session: ConnectSession) -> list[SocialAccount]:
    """What a used session connected, as far as it is still connected."""
    alive = SocialAccount.objects.filter(
        organization_id=session.organization_id,
        mode=session.mode,
        platform=session.social_network.platform,
        deleted_at=None,
        network_unique_id__in=session.chosen,
    )
    return sorted(alive, key=lambda account: session.chosen.index(account.network_unique_id))


def _payload(session: ConnectSession) -> Mapping[str, Any]:
    if session.finalized_at is not None or session.expires_at <= timezone.now() or not session.payload:
        raise _ended(session)
    payload: Mapping[str, Any] = json.loads(crypto.decrypt(session.payload))
    return payload


def _timed(given: Given) -> Given:
    times = {name: datetime.fromisoformat(given[name]) if given[name] else None for name in TIMES}
    return {**given, **times}


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def forget_old() -> int:
    """Erase what ended sessions hold, and sessions that ended long ago. Returns how many are gone."""
    ended = ConnectSession.objects.filter(expires_at__lte=Now())
    ended.exclude(payload="", verifier="").update(payload="", verifier="")
    return ended.filter(expires_at__lte=Now() - KEPT_FOR).delete()[0]

"""Connecting by consent: the way to a platform's dialog, and what comes of its answer."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from django.db import connection
from django.db.models.functions import Now
from django.utils import timezone

from accounts.models import ConnectSession, SocialAccount, SocialNetwork
from accounts.services import access, crypto, networks, pending
from accounts.services.gates import DatabaseGates
from accounts.services.pending import ConsentFailed, Granted
from platforms.base import Account
from platforms.client import Client
from platforms.consent import DENIALS, Asked, Code, authorize_url, lacking, new_verifier
from platforms.errors import (
    AccountNotFound,
    BudgetExhausted,
    CodeRefused,
    Misconfigured,
    NeedsFix,
    PlatformError,
    RateLimited,
    ScopeMissing,
    TokenExpired,
    TryLater,
)
from platforms.grants import exchange
from platforms.oauth import App, Credentials, TokenSet

logger = logging.getLogger(__name__)

STATE_LIVES = timedelta(minutes=10)
STATE = "connect:"
"""How the text of a state begins, so that no other ciphertext passes for one."""
CODES: tuple[tuple[type[PlatformError], str], ...] = (
    (CodeRefused, "code_refused"),
    (ScopeMissing, "scope_missing"),
    (AccountNotFound, "account_not_found"),
    (TokenExpired, "platform_unavailable"),  # a token that was issued a moment ago
    (RateLimited, "rate_limited"),
    (BudgetExhausted, "rate_limited"),
    (TryLater, "platform_unavailable"),
    (Misconfigured, "app_refused"),
)


def begin(
    network: SocialNetwork, *, redirect_url: str = "", tenant_id: str = "", account: SocialAccount | None = None
) -> str:
    """The address of the dialog in which a person grants an app access. `account` is one to be connected again."""
    consent = networks.consent_of(network.platform, network.extra_config)
    if consent is None:
        raise ValueError(networks.platform_of(network).no_consent)
    verifier = new_verifier() if consent.pkce else ""
    session = ConnectSession.objects.create(
        organization_id=network.organization_id,
        mode=network.mode,
        social_network=network,
        account=account,
        tenant_id=tenant_id,
        redirect_url=redirect_url,
        redirect_uri=networks.redirect_uri_of(network),
        scopes=list(networks.asked_scopes(network)),
        verifier=crypto.encrypt(verifier),
        expires_at=timezone.now() + STATE_LIVES,
    )
    asked = Asked(_state(session.pk), session.redirect_uri, tuple(session.scopes), verifier)
    url = authorize_url(consent, App(client_id=network.client_id), asked)
    return access.platform_settings(network.mode).hosts.locate(url).url


def _state(session_id: UUID) -> str:
    """Signed and encrypted, as everything under these keys is."""
    return crypto.encrypt(f"{STATE}{session_id}").rstrip("=")


def _session_id(state: str) -> UUID:
    try:
        text = crypto.decrypt(state + "=" * (-len(state) % 4))
        if text.startswith(STATE):
            return UUID(text.removeprefix(STATE))
    except (crypto.Undecryptable, ValueError):
        pass
    raise ConsentFailed("state_invalid", "The state is not one of this service.")


def receive(answer: Mapping[str, str]) -> tuple[ConnectSession, str]:
    """Take what a platform answered to a consent. Returns the session, now pending, and its token.

    Raises ConsentFailed; whatever fails, no account is changed, and the state is used.
    """
    session = _claim(_session_id(answer.get("state", "")))
    try:
        return session, _hold(session, answer)
    except PlatformError as error:
        failure = ConsentFailed(_code_of(error), error.detail, retryable=isinstance(error, TryLater | TokenExpired))
        if isinstance(error, NeedsFix) and not isinstance(error, CodeRefused):
            logger.error("consent %s: %s evidence: %.500s", session.pk, error.detail, error.evidence)
        raise _noted(failure, session) from error
    except ConsentFailed as failure:
        raise _noted(failure, session) from failure.__cause__


def _noted(failure: ConsentFailed, session: ConnectSession) -> ConsentFailed:
    failure.session = session
    ConnectSession.objects.filter(pk=session.pk).update(failure=failure.code, verifier="")
    logger.info("consent %s led nowhere: %s", session.pk, failure.code)
    return failure


def _code_of(error: PlatformError) -> str:
    return next((code for kind, code in CODES if isinstance(error, kind)), "platform_error")


def _claim(session_id: UUID) -> ConnectSession:
    """Use a state up. The database's clock decides, and one of two that ask at once has it."""
    rows = ConnectSession.objects.filter(pk=session_id)
    taken = rows.filter(answered_at=None, expires_at__gt=Now()).update(answered_at=Now())
    session = rows.select_related("social_network", "account").first()
    if session is None or (not taken and session.answered_at is None):
        raise ConsentFailed("state_expired", "The way to this consent has expired: begin again.", session)
    if not taken:
        raise ConsentFailed("state_used", f"This consent was answered already: {_outcome(session)}.", session)
    return session


def _outcome(session: ConnectSession) -> str:
    if session.finalized_at is not None:
        return pending.outcome(session)
    return f"it led nowhere ({session.failure})" if session.failure else "nothing is connected by it yet"


def answered(state: str) -> ConnectSession | None:
    """The session of a state that was used."""
    try:
        return ConnectSession.objects.filter(pk=_session_id(state)).exclude(answered_at=None).first()
    except ConsentFailed:
        return None


def _hold(session: ConnectSession, answer: Mapping[str, str]) -> str:
    """Exchange the code, and hold what the grant can connect; returns the session's token."""
    network = session.social_network
    platform, grant = networks.platform_of(network), networks.grant_of(network)
    code = _code(session, answer)
    app = App(str(network.pk), network.client_id, crypto.decrypt(network.client_secret))

    def hold(tokens: TokenSet) -> str:
        return pending.hold(session, _granted(session, tokens, grant=grant, app=app))

    return _client(session, grant, app).keep(exchange(platform, grant, app, code), hold)


def _granted(session: ConnectSession, tokens: TokenSet, *, grant: Account, app: App) -> Granted:
    """What a grant can connect."""
    platform = networks.platform_of(session.social_network)
    credentials = Credentials(tokens.access_token, tokens.refresh_token, tokens.expires_at)
    told = _client(session, grant, app, credentials).run(platform.granted(grant, app, tokens))
    # https://www.rfc-editor.org/rfc/rfc6749#section-5.1: what is not said is what was asked for
    scopes = told or tokens.scopes or tuple(session.scopes)
    grant = replace(grant, scopes=scopes)
    missing = tuple(lacking(platform.needs, session.scopes, scopes))
    try:
        found = _client(session, grant, app, credentials).run(platform.discover(grant, tokens))
    except ScopeMissing as error:
        raise ConsentFailed("scope_missing", _without(missing) if missing else error.detail) from error
    return Granted(tokens, scopes, missing, tuple(found))


def _without(missing: tuple[str, ...]) -> str:
    return f"Not granted, and needed: {', '.join(missing)}."


def _code(session: ConnectSession, answer: Mapping[str, str]) -> Code:
    """The code of an answer; ConsentFailed if it is a refusal."""
    # Facebook has no `error` in some of its refusals.
    error = answer.get("error") or answer.get("error_code") or ""
    if error or not answer.get("code"):
        told = answer.get("error_description") or answer.get("error_message") or answer.get("error_reason") or error
        denied = error in DENIALS or answer.get("error_reason") in DENIALS
        raise ConsentFailed("access_denied" if denied else "consent_failed", told or "The answer has no code.")
    return Code(answer["code"], session.redirect_uri, crypto.decrypt(session.verifier))


def _client(session: ConnectSession, grant: Account, app: App, credentials: Credentials | None = None) -> Client:
    if not connection.in_atomic_block:
        connection.close()  # back into the pool of the web process: a platform may take its time
    return Client(
        networks.platform_of(session.social_network),
        grant,
        settings=access.platform_settings(session.mode),
        credentials=credentials,
        app=app,
        gates=DatabaseGates(session.social_network.platform, session.mode),
        live=True,
    )

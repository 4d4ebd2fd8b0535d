"""From the code of a consent to tokens, and what a platform's grant lacks."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from platforms.base import Account, Auth, Call, Platform, Request
from platforms.consent import CODE_GROUP, Code, Consent, Need, code_form, lacking, unwrapped
from platforms.dimensions import AccountDimension, Dimension
from platforms.errors import CodeRefused, Misconfigured, NeedsOwner, Rejected
from platforms.oauth import App, Credentials, TokenSet, parse_scopes, parse_tokens, refresh_form


@dataclass(frozen=True)
class Loss:
    """A scope that is not had, and what stays null without it."""

    scope: str
    posts: tuple[Dimension, ...]
    account: tuple[AccountDimension, ...]
    detail: str


def exchange(platform: Platform, account: Account, app: App, code: Code) -> Call[TokenSet]:
    """The tokens that a code stands for; long-lived ones, where the platform has them."""
    consent = platform.consent_for(account)
    if consent is None:
        raise Misconfigured(f"{platform.label} has no consent to exchange.")
    try:
        tokens = yield from _tokens(platform, consent, app, code)
        return (yield from _extended(consent, app, tokens)) if consent.extension else tokens
    except CodeRefused:
        raise
    except (Rejected, NeedsOwner) as error:
        raise CodeRefused(f"The platform does not take the code: {error.detail}") from error


def _tokens(platform: Platform, consent: Consent, app: App, code: Code) -> Call[TokenSet]:
    form = code_form(consent, app, code)
    auth: Auth = "app" if consent.client == "basic" and app.client_secret else "none"
    payload = yield Request(
        consent.token_url,
        method=consent.method,
        params=form if consent.method == "GET" else {},
        form=form if consent.method == "POST" else None,
        auth=auth,
        group=CODE_GROUP,
    )
    answer = unwrapped(consent, payload)
    tokens = _dated(consent, parse_tokens(platform.refresh, answer))
    scopes = parse_scopes(answer.get(consent.scopes_field))
    return replace(tokens, scopes=scopes or tokens.scopes)


def _extended(consent: Consent, app: App, tokens: TokenSet) -> Call[TokenSet]:
    """The long-lived token that a short-lived one is good for."""
    assert consent.extension is not None
    payload = yield Request(
        consent.extension.url,
        params=refresh_form(consent.extension, Credentials(tokens.access_token), app),
        auth="none",
        group=CODE_GROUP,
    )
    longer = _dated(consent, parse_tokens(consent.extension, payload))
    return replace(longer, scopes=longer.scopes or tokens.scopes, answer=tokens.answer)


def _dated(consent: Consent, tokens: TokenSet) -> TokenSet:
    if tokens.expires_at is not None or consent.lifetime is None:
        return tokens
    return replace(tokens, expires_at=datetime.now(UTC) + consent.lifetime)


def scopes_of(platform: Platform, account: Account) -> tuple[str, ...]:
    """What a consent is asked for that is to cover everything measured."""
    consent = platform.consent_for(account)
    return (consent.scopes if consent else ()) or platform.scopes


def losses(platform: Platform, account: Account, given: Collection[str]) -> list[Loss]:
    """What stays null on accounts whose grant has only the scopes `given`."""
    return [_loss(platform, scope) for scope in lacking(platform.needs, scopes_of(platform, account), given)]


def _loss(platform: Platform, scope: str) -> Loss:
    need, reported, counted = platform.needs.get(scope, Need()), platform.dimensions(), platform.account_dimensions()
    posts = tuple(each for each in Dimension if each in (reported if need.posts is None else need.posts))
    account = tuple(each for each in AccountDimension if each in (counted if need.account is None else need.account))
    posts = posts if platform.has_posts else ()
    lost = (("of posts", posts), ("of accounts", account))
    named = "; ".join(f"{', '.join(columns)} {whose}" for whose, columns in lost if columns)
    told = f"not reported: {named}{f' ({need.why})' if need.why else ''}" if named else need.why
    return Loss(scope, posts, account, f"Without {scope}: {told}.")

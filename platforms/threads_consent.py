"""How Threads accounts are connected."""

from datetime import timedelta

from platforms.base import Account, Call, Request
from platforms.consent import Candidate, Consent
from platforms.graph import GraphPlatform
from platforms.graph_grants import granted_scopes
from platforms.oauth import App, Refresh, TokenSet


class ThreadsConsent(GraphPlatform):
    """Threads' dialog; its app id and secret are not those of the Facebook app."""

    # https://developers.facebook.com/docs/threads/get-started/get-access-tokens-and-permissions
    consent = Consent(
        "https://threads.net/oauth/authorize",
        "https://graph.threads.net/oauth/access_token",
        separator=",",
        extension=Refresh(
            "https://graph.threads.net/access_token",
            method="GET",
            grant_type="th_exchange_token",
            sends="access_token",
            client="secret",
        ),
        lifetime=timedelta(days=60),
        app_words=("client_secret", "client secret", "validating application", "redirect_uri"),
    )

    def granted(self, account: Account, app: App, tokens: TokenSet) -> Call[tuple[str, ...]]:
        return (yield from granted_scopes(tokens, tokens.access_token))

    def discover(self, account: Account, tokens: TokenSet) -> Call[list[Candidate]]:
        me = yield Request("me", params={"fields": "id,username,name,threads_profile_picture_url"}, group="me")
        image = str(me.get("threads_profile_picture_url") or "")
        return [Candidate(str(me["id"]), str(me.get("username") or ""), str(me.get("name") or ""), image)]

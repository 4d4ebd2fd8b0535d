"""Walks through the sandbox's consent pages as a browser does, and exchanges codes as an app does."""

import base64
import hashlib
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import requests

from platforms.tests.sandbox.conftest import Client

BACK = "https://app.example.com/callback?tenant=7"
STATE = "state-&=#/é"
APP, SECRET = "app-1", "app-secret"
VERIFIER = "verifier-" * 6
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
PKCE = {"code_challenge": CHALLENGE, "code_challenge_method": "S256"}
OFFLINE = {"access_type": "offline", "prompt": "consent"}
DENIED = {"error": "access_denied"}
DENIED_META = {**DENIED, "error_reason": "user_denied", "error_description": "The user denied your request"}
DENIED_FACEBOOK = {**DENIED_META, "error_code": "200", "error_description": "Permissions error"}


@dataclass(frozen=True)
class Way:
    """One platform's addresses and words, as its documentation has them."""

    authorize: str
    token: str
    scopes: tuple[str, ...]
    separator: str = " "
    basic: bool = False
    method: str = "POST"
    client_field: str = "client_id"
    also: dict[str, str] = field(default_factory=dict)
    verifier: str = ""
    denial: dict[str, str] = field(default_factory=lambda: DENIED)
    fragment: str = ""
    fixed: tuple[str, ...] | None = None
    """The scopes that a person cannot untick; None if that is all of them."""
    several: bool = False
    refused: int = 400
    """The status that a worthless code is refused with."""


FACEBOOK = Way(
    "www.facebook.com/v26.0/dialog/oauth",
    "graph.facebook.com/v26.0/oauth/access_token",
    ("pages_show_list", "pages_read_engagement", "read_insights", "pages_read_user_content"),
    separator=",",
    method="GET",
    denial=DENIED_FACEBOOK,
    fragment="_=_",
    fixed=(),
    several=True,
)
WAYS = {
    "x": Way(
        "x.com/i/oauth2/authorize",
        "api.x.com/2/oauth2/token",
        ("tweet.read", "users.read", "offline.access"),
        basic=True,
        also=PKCE,
        verifier=VERIFIER,
    ),
    "linkedin": Way(
        "www.linkedin.com/oauth/v2/authorization",
        "www.linkedin.com/oauth/v2/accessToken",
        ("r_basicprofile", "r_member_postAnalytics", "rw_organization_admin", "r_organization_social"),
        denial={
            "error": "user_cancelled_authorize",
            "error_description": "The user cancelled the authorization",
        },
    ),
    "instagram": Way(
        "www.instagram.com/oauth/authorize",
        "api.instagram.com/oauth/access_token",
        ("instagram_business_basic", "instagram_business_manage_insights"),
        separator=",",
        denial=DENIED_META,
        fragment="_",
        fixed=("instagram_business_basic",),
    ),
    "instagram_facebook": replace(
        FACEBOOK, scopes=("instagram_basic", "instagram_manage_insights", "pages_read_engagement", "pages_show_list")
    ),
    "facebook": FACEBOOK,
    "threads": Way(
        "threads.net/oauth/authorize",
        "graph.threads.net/oauth/access_token",
        ("threads_basic", "threads_manage_insights"),
        separator=",",
        denial=DENIED_META,
        fragment="_",
        fixed=("threads_basic",),
    ),
    "tiktok": Way(
        "www.tiktok.com/v2/auth/authorize/",
        "open.tiktokapis.com/v2/oauth/token/",
        ("user.info.basic", "user.info.stats", "video.list"),
        separator=",",
        client_field="client_key",
        denial={**DENIED, "error_description": "User cancelled the authorization"},
        fixed=("user.info.basic",),
        refused=200,
    ),
    "youtube": Way(
        "accounts.google.com/o/oauth2/v2/auth",
        "oauth2.googleapis.com/token",
        ("https://www.googleapis.com/auth/youtube.readonly", "https://www.googleapis.com/auth/yt-analytics.readonly"),
        also={**PKCE, **OFFLINE},
        verifier=VERIFIER,
        fixed=(),
    ),
    "google_business": Way(
        "accounts.google.com/o/oauth2/v2/auth",
        "oauth2.googleapis.com/token",
        ("https://www.googleapis.com/auth/business.manage",),
        also=OFFLINE,
        fixed=(),
    ),
    "pinterest": Way(
        "www.pinterest.com/oauth/",
        "api.pinterest.com/v5/oauth/token",
        ("user_accounts:read", "pins:read", "boards:read"),
        separator=",",
        basic=True,
    ),
    "reddit": Way(
        "www.reddit.com/api/v1/authorize",
        "www.reddit.com/api/v1/access_token",
        ("identity", "read", "history"),
        basic=True,
        also={"duration": "permanent"},
        fragment="_",
        refused=200,
    ),
}
EVERY = tuple(WAYS)


def platform_of(key: str) -> str:
    """The platform's own key; Instagram has two ways."""
    return key.partition("_facebook")[0]


@dataclass
class Input:
    """A control of the page's form."""

    kind: str
    name: str
    value: str
    checked: bool
    disabled: bool
    labelled: bool


class Form(HTMLParser):
    """The page as its reader meets it: controls, buttons, and whatever else it would load."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.inputs: list[Input] = []
        self.buttons: dict[str, str] = {}
        self.loads: list[str] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if tag == "input":
            marks = {"checked": "checked" in found, "disabled": "disabled" in found, "labelled": "label" in self._open}
            self.inputs.append(Input(found["type"], found["name"], found["value"], **marks))
        elif tag == "button":
            self.buttons[found["value"]] = found["name"]
        elif tag not in ("meta", "link"):
            self._open.append(tag)
        self.loads += [found[name] for name in ("src", "href") if name in found]

    def handle_endtag(self, tag: str) -> None:
        if tag in self._open:
            self._open.remove(tag)

    def handle_data(self, data: str) -> None:
        self.text += data

    def named(self, name: str) -> list[Input]:
        return [one for one in self.inputs if one.name == name]


@dataclass
class Back:
    """Where the person was sent, and with what."""

    address: str
    query: dict[str, str]
    fragment: str


class Walk:
    """One person before one platform's consent page."""

    def __init__(self, client: Client, key: str, *, scopes: tuple[str, ...] | None = None, **changes: str) -> None:
        self.client, self.way = client, WAYS[key]
        client.http.headers["User-Agent"] = "web:com.example.stats:v1.0 (by /u/example)"
        asked = self.way.separator.join(self.way.scopes if scopes is None else scopes)
        query = {self.way.client_field: APP, "redirect_uri": BACK, "response_type": "code", "scope": asked}
        query |= {"state": STATE, **self.way.also, **changes}
        self.query = {name: value for name, value in query.items() if value}

    def open(self) -> requests.Response:
        return self.client.get(self.way.authorize, **self.query)

    def form(self) -> Form:
        answer = self.open()
        assert answer.status_code == 200, answer.text
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
        return Form(answer.text)

    def press(self, button: str, *, accounts: list[str] | None = None, untick: tuple[str, ...] = ()) -> Back:
        """Press a button as a browser would send it: checked controls that are not disabled."""
        form = self.form()
        sent = [(one.name, one.value) for one in form.inputs if one.checked and not one.disabled]
        sent = [(name, value) for name, value in sent if name != "account" or accounts is None]
        sent += [("account", one) for one in accounts or ()]
        sent = [(name, value) for name, value in sent if name != "scope" or value not in untick]
        sent.append((form.buttons[button], button))
        answer = self.client.post(self.way.authorize, params=self.query, data=sent, allow_redirects=False)
        return back_of(answer)

    def allow(self, *accounts: str, untick: tuple[str, ...] = ()) -> str:
        """The code that comes of saying yes."""
        back = self.press("allow", accounts=list(accounts) or None, untick=untick)
        return back.query["code"]

    def exchange(self, code: str, *, client_id: str = APP, secret: str = SECRET, **changes: str) -> requests.Response:
        """Ask for tokens in return for a code."""
        way, auth = self.way, None
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": BACK}
        if way.verifier:
            form["code_verifier"] = way.verifier
        if way.basic:
            auth = (client_id, secret)
        else:
            form |= {way.client_field: client_id, "client_secret": secret}
        form = {name: value for name, value in {**form, **changes}.items() if value}
        if way.method == "GET":
            del form["grant_type"]
            return self.client.get(way.token, **form)
        return self.client.post(way.token, data=form, auth=auth)

    def tokens(self, *accounts: str, untick: tuple[str, ...] = ()) -> dict[str, Any]:
        """Say yes, and take the tokens."""
        answer = self.exchange(self.allow(*accounts, untick=untick))
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        assert found.get("access_token"), found
        return found


def back_of(answer: requests.Response) -> Back:
    assert answer.status_code == 302, answer.text
    url = urlsplit(answer.headers["Location"])
    query = dict(parse_qsl(url.query, keep_blank_values=True, strict_parsing=True))
    assert query.pop("tenant") == "7"
    return Back(f"{url.scheme}://{url.netloc}{url.path}", query, url.fragment)

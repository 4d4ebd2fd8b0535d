"""Holds an adapter's conversations against answers on file, through the real client."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from platforms import registry
from platforms.base import Account, Call, Item, Platform, Raw, Reading
from platforms.client import Client, Settings
from platforms.consent import Candidate, Code
from platforms.errors import Unavailable
from platforms.grants import exchange
from platforms.oauth import App, Credentials, TokenSet
from platforms.transport import Exchange, Response

FIXTURES = Path(__file__).parent / "fixtures"
NOW = datetime(2026, 11, 23, 10, 30, tzinfo=UTC)
"""When the answers on file were given."""
TOKENS = Credentials(access_token="access-token-on-file", refresh_token="refresh-token-on-file")
APP = App(id="app-1", client_id="client-on-file", client_secret="secret-on-file")
SECRETS = (TOKENS.access_token, TOKENS.refresh_token, APP.client_secret)


@dataclass(frozen=True)
class Turn:
    """One request and its answer. Of the query and the form, only what is named must be as it is on file."""

    note: str
    request: Mapping[str, Any]
    response: Mapping[str, Any]

    def answers(self, exchange: Exchange) -> bool:
        asked, wanted = urlsplit(exchange.url), urlsplit(str(self.request["url"]))
        given = query_of(exchange)
        named: Mapping[str, Any] = {**self.request.get("params", {}), **self.request.get("form", {})}
        same_place = (asked.netloc, asked.path) == (wanted.netloc, wanted.path)
        expected = {name: [value] if isinstance(value, str) else value for name, value in named.items()}
        return (
            exchange.method == self.request["method"]
            and same_place
            and all(given.get(name) == value for name, value in expected.items())
        )

    def play(self) -> Response:
        body = self.response.get("text")
        raw = json.dumps(self.response["body"]) if body is None else str(body)
        headers = {name.lower(): str(value) for name, value in self.response.get("headers", {}).items()}
        return Response(self.response["status"], headers, raw.encode("utf-8", "surrogatepass"))

    def with_body(self, body: Any) -> "Turn":
        return replace(self, response={**self.response, "body": body})


@dataclass(frozen=True)
class Conversation:
    """What an adapter is asked, what is answered to it, and what it must make of that."""

    name: str
    kind: str
    note: str
    turns: tuple[Turn, ...]
    ids: tuple[str, ...] = ()
    account: Mapping[str, Any] = field(default_factory=dict)
    cursor: str = ""
    expect: Mapping[str, Any] = field(default_factory=dict)


class Replay:
    """A transport that answers from a conversation on file. `lenient`: turns repeat, and the unexpected is refused."""

    def __init__(self, turns: Sequence[Turn], *, lenient: bool = False) -> None:
        self.asked: list[Exchange] = []
        self._turns = list(turns)
        self._left = list(turns)
        self._lenient = lenient
        self._lock = threading.Lock()

    def send(self, exchange: Exchange) -> Response:
        with self._lock:
            self.asked.append(exchange)
            turn = next((turn for turn in self._left if turn.answers(exchange)), None)
            if turn is not None:
                self._left.remove(turn)
                return turn.play()
            if self._lenient:
                turn = next((turn for turn in self._turns if turn.answers(exchange)), None)
                if turn is None:
                    raise Unavailable("There is no answer on file.")
                return turn.play()
        raise AssertionError(f"no answer on file to {exchange.method} {exchange.url} {query_of(exchange)}")

    @property
    def unasked(self) -> list[Turn]:
        return self._left


class Answers:
    """A transport that answers what a function says: a status, a body and perhaps headers, or an error to raise."""

    def __init__(self, answer: Callable[[Exchange], Any]) -> None:
        self.asked: list[Exchange] = []
        self._answer = answer
        self._lock = threading.Lock()

    def send(self, exchange: Exchange) -> Response:
        with self._lock:
            self.asked.append(exchange)
            answer = self._answer(exchange)
        if isinstance(answer, Exception):
            raise answer
        status, body, *headers = answer
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return Response(status, headers[0] if headers else {}, raw)

    @property
    def paths(self) -> list[str]:
        """The paths asked, in order."""
        return [urlsplit(exchange.url).path for exchange in self.asked]


def query_of(exchange: Exchange) -> dict[str, list[str]]:
    """All query and form parameters of an exchange."""
    found: dict[str, list[str]] = {}
    pairs = [*parse_qsl(urlsplit(exchange.url).query), *(exchange.params or ()), *(exchange.form or {}).items()]
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return found


def on_file(key: str, *kinds: str) -> list[Conversation]:
    """The conversations on file of a platform, of some kinds or of all."""
    return [each for each in _read(key) if not kinds or each.kind in kinds]


def _read(key: str) -> Iterator[Conversation]:
    for path in sorted((FIXTURES / key).glob("[!_]*.json")):
        content = json.loads(path.read_text())
        for number, entry in enumerate(content if isinstance(content, list) else [content]):
            yield Conversation(
                name=path.stem + (f"-{number}" if isinstance(content, list) else ""),
                kind=entry["kind"],
                note=entry["note"],
                turns=tuple(
                    Turn(turn.get("note", ""), turn["request"], turn["response"]) for turn in entry["exchanges"]
                ),
                ids=tuple(entry.get("ids", ())),
                account=entry.get("account", {}),
                cursor=entry.get("cursor", ""),
                expect=entry.get("expect", {}),
            )


def account_of(key: str, told: Mapping[str, Any]) -> Account:
    """The account a conversation is about: that of `fixtures/<key>/_account.json`, with what is told otherwise."""
    default = json.loads((FIXTURES / key / "_account.json").read_text())
    return Account(id="account-1", **{**default, **told, "memory": dict(told.get("memory", {}))})


def client_for(key: str, transport: Any, account: Account, **more: Any) -> Client:
    settings = more.pop("settings", None) or Settings(transport=transport)
    return Client(registry.get(key), account, settings=settings, credentials=TOKENS, app=more.pop("app", APP), **more)


def hold(key: str, conversation: Conversation, transport: Any, account: Account | None = None) -> Any:
    """Hold a conversation and answer what the adapter made of it."""
    account = account or account_of(key, conversation.account)
    client = client_for(key, transport, account)
    if conversation.kind == "consent":
        return consented(registry.get(key), account, transport)
    return client.run(conversation_of(key, conversation, account))


def conversation_of(key: str, conversation: Conversation, account: Account) -> Call[Any]:
    """What the adapter says, once it is asked what is on file."""
    platform = registry.get(key)
    return {
        "posts": lambda: platform.fetch_posts(conversation.ids, account),
        "account": lambda: platform.fetch_account(account),
        "probe": lambda: platform.probe(account),
        "listing": lambda: platform.list_posts(account, cursor=conversation.cursor),
        "refresh": lambda: platform.renew(account, TOKENS, APP),
    }[conversation.kind]()


@dataclass(frozen=True)
class Consented:
    """What a consent led to."""

    tokens: TokenSet
    scopes: tuple[str, ...]
    accounts: list[Candidate]


def consented(platform: Platform, grant: Account, transport: Any) -> Consented:
    """Exchange a code, and discover with the tokens that it stands for."""
    settings = Settings(transport=transport)
    tokens = Client(platform, grant, settings=settings, app=APP).run(exchange(platform, grant, APP, code_of(platform)))
    client = Client(platform, grant, settings=settings, credentials=Credentials(tokens.access_token), app=APP)
    scopes = client.run(platform.granted(grant, APP, tokens))
    return Consented(tokens, scopes, client.run(platform.discover(replace(grant, scopes=scopes), tokens)))


def code_of(platform: Platform) -> Code:
    """The code on file; with a verifier where the platform has PKCE."""
    pkce = platform.consent is not None and platform.consent.pkce
    return Code("code-on-file", "https://app.example.com/callback", "verifier-on-file" if pkce else "")


def raw_of(item: Item) -> Raw:
    """The raw answer of an item that is no failure."""
    if isinstance(item, Reading):
        return item.raw
    assert isinstance(item, dict), item
    return item


def numbers_of(platform: Platform, kind: str, result: Any) -> dict[str, dict[str, int | None]]:
    """Each item's columns; of an account, those of the account."""
    if kind == "account":
        return {"account": {str(name): value for name, value in platform.account_metrics(raw_of(result)).items()}}
    if kind == "listing":
        return {
            each.id: {str(name): value for name, value in platform.metrics(each.raw).items()}
            for each in result.posts
            if each.raw is not None
        }
    if kind != "posts":
        return {}
    return {
        post_id: {str(name): value for name, value in platform.metrics(raw_of(item)).items()}
        for post_id, item in result.items()
        if isinstance(item, dict | Reading)
    }

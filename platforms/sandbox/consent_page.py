"""The one HTML page that all consent pages are, and the one that tells of a bad request."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from string import Template

from platforms.sandbox.wire import Answer

_PAGE = Template(Path(__file__).with_name("consent.html").read_text(encoding="utf-8"))
_HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'",
}


@dataclass(frozen=True, slots=True)
class Choice:
    """An account to choose."""

    id: str
    name: str
    marked: bool


def shown(title: str, app: str, choices: Sequence[Choice], scopes: Mapping[str, bool], *, several: bool) -> Answer:
    """The question: which accounts, and which of the scopes; those that map to True can be unticked."""
    main = (
        f"<h1><b>{escape(app)}</b> asks for access to your {escape(title)} account</h1>\n"
        '<form method="post">\n'
        f"<fieldset><legend>{'Accounts' if several else 'Account'}</legend>\n"
        f"{''.join(_account(each, several=several) for each in choices)}</fieldset>\n"
        f"<fieldset><legend>The app may</legend>\n{''.join(map(_scope, scopes.items()))}</fieldset>\n"
        '<p class="actions"><button name="decision" value="allow">Allow</button>\n'
        '<button name="decision" value="deny">Deny</button></p>\n</form>'
    )
    return _page(title, "Allow access?", main, 200)


def _account(choice: Choice, *, several: bool) -> str:
    kind, marked = "checkbox" if several else "radio", " checked" if choice.marked else ""
    field = f'<input type="{kind}" name="account" value="{escape(choice.id)}"{marked}>'
    return f"<label>{field} {escape(choice.name)} <small>{escape(choice.id)}</small></label>\n"


def _scope(item: tuple[str, bool]) -> str:
    """A scope that cannot be unticked is not sent, and need not be."""
    scope, optional = item
    field = f'<input type="checkbox" name="scope" value="{escape(scope)}" checked{"" if optional else " disabled"}>'
    return f"<label>{field} {escape(scope)}</label>\n"


def refused(title: str, error: str, words: str) -> Answer:
    """What a person sees when the app asks in the wrong way."""
    main = f"<h1>Something went wrong</h1>\n<p>{escape(words)}</p>\n<p><code>Error 400: {escape(error)}</code></p>"
    return _page(title, "Something went wrong", main, 400)


def _page(title: str, heading: str, main: str, status: int) -> Answer:
    page = _PAGE.substitute(title=escape(title), heading=escape(heading), main=main)
    return Answer(page.encode(), status, dict(_HEADERS))

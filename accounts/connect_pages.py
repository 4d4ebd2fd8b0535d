"""The pages on which a person chooses which accounts to connect.

The pending token is the capability: whoever bears it may choose, so there is no cookie that another site could use.
It stands in the query, which is not logged. It opens a page only if nobody else waits for the person.
"""

import secrets
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_http_methods

from accounts.models import ConnectSession
from accounts.services import consent, networks, pending, redirects

POLICY = (
    "default-src 'none'; style-src 'nonce-{nonce}'; img-src data:; form-action 'self'; base-uri 'none';"
    " frame-ancestors 'none'"
)
FAILURES = {
    "access_denied": "You did not allow access, so nothing was connected.",
    "state_expired": "This took longer than ten minutes, so nothing was connected.",
    "state_used": "If you reloaded a page, or came back to it, go forward again or begin anew.",
    "state_invalid": "This address does not belong to a consent that was begun here.",
    "code_refused": "The platform did not confirm your consent, so nothing was connected.",
    "scope_missing": "A permission that is needed was left out, so nothing was connected.",
    "wrong_account": "You allowed access to another account than the one to be connected again.",
    "nothing_to_connect": "There is no account behind this log-in that could be connected.",
    "account_not_found": "The platform does not know this account, or has suspended it.",
    "app_refused": "The platform refused the app that asked for access. Please tell whoever sent you here.",
    "rate_limited": "The platform has had too many requests for now. Please try again later.",
    "platform_unavailable": "The platform did not answer. Please try again in a few minutes.",
    "redirect_refused": "You cannot be sent back to where you came from. Please tell whoever sent you here.",
}
NOTHING = "Nothing was connected"
ANSWERED = "This consent was answered before"
OVER = "This page is over"
OTHERWISE = "Something went wrong on the platform's side, so nothing was connected."


@never_cache
@csrf_exempt
@require_http_methods(["GET", "HEAD", "POST"])
def choose(request: HttpRequest) -> HttpResponse:
    """List what a consent can connect; connect what is ticked."""
    token = (request.POST if request.method == "POST" else request.GET).get("pending", "")
    session = pending.find(token, redirect_url="") if token else None
    if session is None:
        return _sorry(request, "This page belongs to no consent, or to one that is long over.", 404, OVER)
    try:
        if request.method == "POST":
            return _connect(request, session, token)
        return _list(request, session, token)
    except pending.Used:
        return _see(token) if request.method == "POST" else _done(request, session)
    except pending.Ended as error:
        return _sorry(request, f"{error} Begin again to connect accounts.", 410)


def _list(request: HttpRequest, session: ConnectSession, token: str, error: str = "") -> HttpResponse:
    shown = pending.view(session)
    context = {
        "view": shown,
        "token": token,
        "error": error,
        "label": networks.platform_of(session.social_network).label,
    }
    return _page(request, "accounts/connect.html", context)


def _connect(request: HttpRequest, session: ConnectSession, token: str) -> HttpResponse:
    ids = request.POST.getlist("ids")
    try:
        accounts = pending.finalize(session, ids) if ids else []
    except pending.Unoffered:
        return _list(request, session, token, "One of these accounts is no longer offered.")
    if not accounts:
        return _list(request, session, token, "Tick at least one account.")
    return _see(token)


def _see(token: str) -> HttpResponse:
    """To what came of it, by an address that can be reloaded and come back to."""
    return HttpResponseRedirect(redirects.with_query(reverse("connect"), pending=token), status=303)


def _done(request: HttpRequest, session: ConnectSession) -> HttpResponse:
    context = {
        "outcome": pending.outcome(session),
        "count": len(session.chosen),
        "accounts": pending.connected(session),
    }
    return _page(request, "accounts/connected.html", context)


@never_cache
@require_GET
def failed(request: HttpRequest) -> HttpResponse:
    """Say why nothing was connected; of a consent that was answered before, what was connected then."""
    error = request.GET.get("error", "")
    if error != "state_used":
        return _sorry(request, FAILURES.get(error, OTHERWISE), 200)
    session = consent.answered(request.GET.get("state", ""))
    if session is None or session.finalized_at is None:
        return _sorry(request, FAILURES[error], 200, ANSWERED)
    context = {"outcome": pending.outcome(session), "count": len(session.chosen)}
    return _page(request, "accounts/connected.html", context)


def _sorry(request: HttpRequest, message: str, status: int, title: str = NOTHING) -> HttpResponse:
    return _page(request, "accounts/connect_failed.html", {"message": message, "title": title}, status)


def _page(request: HttpRequest, template: str, context: dict[str, Any], status: int = 200) -> HttpResponse:
    nonce = secrets.token_urlsafe(16)
    page = render(request, template, {**context, "nonce": nonce}, status=status)
    page["Content-Security-Policy"] = POLICY.format(nonce=nonce)
    page["Referrer-Policy"] = "no-referrer"
    page["X-Robots-Tag"] = "noindex"
    return page

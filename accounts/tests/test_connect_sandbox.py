"""Connecting by app password in the sandbox, which has a directory of its own."""

from typing import Any

import pytest

from accounts.models import SocialAccount

pytestmark = pytest.mark.django_db(transaction=True)
URL = "/api/v1/social-accounts/bluesky/connect"


def test_an_account_is_connected_by_app_password_and_answers(api: Any, sandbox: Any) -> None:
    answer = api.post(URL, {"handle": "jane.bsky.social", "app_password": "abcd-efgh-ijkl-mnop"})
    assert answer.status_code == 201, answer.content
    account = SocialAccount.objects.get()
    assert (account.username, account.extra) == ("jane.bsky.social", {"pds_host": "https://bsky.social"})
    health = api.get(f"/api/v1/social-accounts/{account.pk}/health").json()
    assert (health["healthy"], health["checked_live"]) == (True, True)


def test_a_password_that_is_none_is_refused(api: Any, sandbox: Any) -> None:
    answer = api.post(URL, {"handle": "jane.bsky.social", "app_password": "wrong"})
    assert answer.status_code == 400
    assert [each["field"] for each in answer.json()["errors"]] == ["app_password"]
    assert not SocialAccount.objects.exists()


def test_a_server_that_is_away_is_told(api: Any, sandbox: Any) -> None:
    sandbox.fault("bluesky", "server_error")
    answer = api.post(URL, {"handle": "jane.bsky.social", "app_password": "abcd-efgh-ijkl-mnop"})
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")

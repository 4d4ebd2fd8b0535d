"""What the tests of the posts' endpoints have in common; each module imports the fixtures it uses."""

import pytest

from accounts.tests.factories import SocialAccountFactory

POSTS = "/api/v1/posts"


@pytest.fixture(name="account")
def account_fixture():
    return SocialAccountFactory(platform="x")


@pytest.fixture(name="client")
def client_fixture(client_for, account):
    return client_for(account)


def problem(answer, status, code):
    assert answer.status_code == status, answer.content
    assert answer["Content-Type"] == "application/problem+json"
    body = answer.json()
    assert body["code"] == code, body
    return body

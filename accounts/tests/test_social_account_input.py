"""What the social accounts' endpoints refuse, and which field they name."""

import json
from typing import Any

import pytest

from accounts.models import SocialAccount
from accounts.tests.factories import SocialAccountFactory
from accounts.tests.social_accounts import BLUESKY, DID, URL, X, url

pytestmark = pytest.mark.django_db


def refused(response: Any, field: str, status: int = 400) -> str:
    body = response.json()
    assert (response.status_code, body["code"]) == (status, "validation_failed"), body
    found: dict[str, str] = {error["field"]: error["message"] for error in body["errors"]}
    assert field in found, found
    return found[field]


@pytest.mark.parametrize(
    ("platform", "given", "expected"),
    [
        ("x", "@acme", "numeric user id"),
        ("x", "2" * 20, "numeric user id"),
        ("instagram", "acme", "17841400000000001"),
        ("bluesky", "acme.bsky.social", "did:plc:"),
        ("bluesky", "did:plc:", "did:plc:"),
    ],
)
def test_an_id_that_is_none_is_refused_with_the_expected_form(
    api: Any, platform: str, given: str, expected: str
) -> None:
    response = api.post(URL, {**X, "platform": platform, "network_unique_id": given})
    assert expected in refused(response, "network_unique_id")


@pytest.mark.parametrize("platform", ["myspace", "", None, 5, {}, "X"])
def test_an_unknown_platform_is_refused(api: Any, platform: Any) -> None:
    refused(api.post(URL, {**X, "platform": platform}), "platform")


@pytest.mark.parametrize("token", ["", "   ", "with blank", "ünicode-token", "line\nbreak", "x" * 16001, None, 7.5, []])
def test_what_is_no_token_is_refused(api: Any, token: Any) -> None:
    refused(api.post(URL, {**X, "access_token": token}), "access_token")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("username", "\x00"),
        ("username", "\ud800"),
        ("username", "x" * 256),
        ("username", []),
        ("network_unique_id", "\x00"),
        ("network_unique_id", "9" * 100_000),
        ("network_unique_id", 10**30),
        ("tenant_id", "x" * 256),
        ("profile_image_url", "https://example.com/" + "x" * 2001),
        ("profile_image_url", "javascript:alert(1)"),
        ("profile_image_url", "http://[::1"),
        ("profile_image_url", "//example.com/a.png"),
        ("account_type", {}),
        ("token_expires_at", "tomorrow"),
        ("token_expires_at", 10**18),
        ("token_expires_at", "2101-01-01"),
        ("scopes", "tweet.read"),
        ("scopes", ["x"] * 101),
        ("extra", []),
        ("extra", None),
        ("status", "disabled"),
        ("id", "0b1c2d3e-4f50-4617-8293-a4b5c6d7e8f9"),
        ("nonsense", 1),
        ("last_synced_at", None),
    ],
)
def test_odd_input_is_a_400_that_names_the_field(api: Any, field: str, value: Any) -> None:
    body = json.dumps({**X, field: value})
    response = api.post(URL, body, content_type="application/json")
    refused(response, field)
    assert not SocialAccount.objects.exists()


@pytest.mark.parametrize(
    "query",
    [
        {"id": "x"},
        {"id": "{0b1c2d3e-4f50-4617-8293-a4b5c6d7e8f9}"},
        {"platform": "myspace"},
        {"status": "dead"},
        {"limit": 0},
    ],
)
def test_a_malformed_filter_is_a_400_that_names_it(api: Any, query: dict[str, Any]) -> None:
    refused(api.get(URL, query), next(iter(query)))


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"status": "revoked"}, "status"),
        ({"status": "token_expired"}, "status"),
        ({"status": None}, "status"),
        ({"username": "x"}, "username"),
        ({"platform": "x"}, "platform"),
        ({"access_token": None}, "access_token"),
        ({"access_token": ""}, "access_token"),
        ({"tenant_id": "\x00"}, "tenant_id"),
        ({"tenant_id": "x" * 256}, "tenant_id"),
        ({"extra": {}}, "extra"),
        ({"token_expires_at": "soon"}, "token_expires_at"),
    ],
)
def test_what_cannot_be_changed_is_a_400(api: Any, organization: Any, body: dict[str, Any], field: str) -> None:
    refused(api.patch(url(SocialAccountFactory(organization=organization)), body), field)


# --- extra -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("platform", "extra", "field"),
    [
        ("x", {"pds_host": "https://a.example"}, "extra.pds_host"),
        ("bluesky", {"login": "facebook"}, "extra.login"),
        ("instagram", {"login": "tiktok"}, "extra.login"),
        ("instagram", {"login": ["facebook"]}, "extra.login"),
        ("x", {"client_id": ""}, "extra.client_id"),
        ("x", {"client_id": 5}, "extra.client_id"),
        ("x", {"client_id": "x" * 256}, "extra.client_id"),
    ],
)
def test_what_a_platform_does_not_know_is_refused(api: Any, platform: str, extra: Any, field: str) -> None:
    ids = {"x": "1", "instagram": "17841400000000001", "bluesky": DID}
    refused(api.post(URL, {**X, "platform": platform, "network_unique_id": ids[platform], "extra": extra}), field)


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("https://bsky.social", "https://bsky.social"),
        ("https://PDS.Example.com/", "https://pds.example.com"),
        ("https://pds.example.com:443", "https://pds.example.com"),
        ("https://pds.example.com:8443", "https://pds.example.com:8443"),
        ("https://1.1.1.1", "https://1.1.1.1"),
    ],
)
def test_a_public_https_origin_is_a_pds_host(api: Any, given: str, stored: str) -> None:
    assert api.post(URL, {**BLUESKY, "extra": {"pds_host": given}}).status_code == 201
    assert SocialAccount.objects.get().extra == {"pds_host": stored}


BAD_HOSTS = [
    "http://pds.example.com",
    "pds.example.com",
    "https://",
    "https://pds.example.com/xrpc",
    "https://pds.example.com?x=1",
    "https://user:pw@pds.example.com",
    "https://localhost",
    "https://localhost:2583",
    "https://pds",
    "https://printer.local",
    "https://127.0.0.1",
    "https://10.0.0.8",
    "https://169.254.169.254",
    "https://2130706433",
    "https://0x7f.1",
    "https://127.1",
    "https://[::1]",
    "https://[::ffff:10.0.0.1]",
    "https://[fe80::1]",
    "https://pds.example.com:0",
    "https://pds.example.com:99999",
    "https://pds.exämple.com",
    "ftp://pds.example.com",
    "javascript:alert(1)",
    "https://" + "a" * 300 + ".example.com",
    "",
]


@pytest.mark.parametrize("host", BAD_HOSTS)
def test_any_other_pds_host_is_refused(api: Any, host: str) -> None:
    refused(api.post(URL, {**BLUESKY, "extra": {"pds_host": host}}), "extra.pds_host")


@pytest.mark.parametrize("mode", ["live", "test"])
@pytest.mark.parametrize(
    ("host", "mapped"),
    [
        ("https://pds.devnet.example", "pds.devnet.example"),
        ("https://localhost:2583", "localhost:2583"),
        ("https://localhost:2583", "localhost"),
        ("https://127.0.0.1:2583", "127.0.0.1:2583"),
    ],
)
def test_a_mapped_pds_host_need_not_be_public(
    organization: Any, client_for: Any, settings: Any, host: str, mapped: str, mode: str
) -> None:
    settings.PLATFORM_HOST_MAP = {mapped: "http://127.0.0.1:2583"}
    api = client_for(organization, mode=mode)
    assert api.post(URL, {**BLUESKY, "extra": {"pds_host": host}}).status_code == 201
    assert SocialAccount.objects.get().extra == {"pds_host": host}
    for other in ("http://localhost:2583", "https://localhost:2584", "https://127.0.0.2"):
        if mapped != "localhost" or other != "https://localhost:2584":
            refused(api.post(URL, {**BLUESKY, "extra": {"pds_host": other}}), "extra.pds_host")

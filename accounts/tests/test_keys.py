import hashlib
import json
import re
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.core.management import CommandError, call_command
from django.utils import timezone

from accounts.models import ApiKey, Organization
from accounts.services import keys
from accounts.tests.factories import OrganizationFactory, SocialAccountFactory, make_key

pytestmark = pytest.mark.django_db
URL = "/api/v1/social-accounts"
FORM = re.compile(r"sk_(live|test)_[a-z0-9]{12}[A-Za-z0-9_-]{43}")


@pytest.mark.parametrize("mode", ["live", "test"])
def test_a_key_tells_its_mode_and_is_stored_as_a_hash_only(mode: str) -> None:
    key, text = make_key(mode=mode)
    assert FORM.fullmatch(text) and text.startswith(f"sk_{mode}_{key.prefix}")
    stored = " ".join(str(value) for value in ApiKey.objects.filter(pk=key.pk).values().get().values())
    secret = text[-43:]
    assert secret not in stored
    assert hashlib.sha256(secret.encode()).hexdigest() in stored
    assert keys.find_key(text) == key


def test_no_two_keys_are_alike() -> None:
    organization = OrganizationFactory()
    assert len({make_key(organization)[1] for _ in range(20)}) == 20


def test_a_derived_key_is_found_again() -> None:
    organization = OrganizationFactory()
    first, text = make_key(organization, seed="demo")
    assert make_key(organization, seed="demo") == (first, text)
    assert FORM.fullmatch(text)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: "",
        lambda text: text[:-1],
        lambda text: text + "A",
        lambda text: text.replace("sk_test_", "sk_live_"),
        lambda text: text.replace("sk_test_", ""),
        lambda text: text[:-1] + ("A" if text[-1] != "A" else "B"),
        lambda text: "é" * 63,
        lambda text: "\x00",
    ],
)
def test_a_key_that_is_not_known_is_refused(client_for: Any, spoil: Any) -> None:
    _, text = make_key()
    response = client_for(spoil(text)).get(URL)
    assert response.status_code == 401
    assert response["WWW-Authenticate"].startswith("Bearer")
    assert response["Content-Type"] == "application/problem+json"
    assert (response.json()["code"], response.json()["status"]) == ("unauthorized", 401)


@pytest.mark.parametrize("header", [None, "Bearer", "Basic c2tfdGVzdDo=", "sk_test_x"])
def test_no_key_is_refused(client: Any, header: str | None) -> None:
    response = client.get(URL, headers={"Authorization": header} if header else {})
    assert response.status_code == 401 and response.json()["code"] == "unauthorized"
    assert response["WWW-Authenticate"].startswith("Bearer")


def test_an_expired_key_is_refused(client_for: Any) -> None:
    _, text = make_key(expires_at=timezone.now() + timedelta(minutes=5))
    client = client_for(text)
    assert client.get(URL).status_code == 200
    with time_machine.travel(timezone.now() + timedelta(minutes=6)):
        assert client.get(URL).status_code == 401


def test_a_revoked_key_is_refused_and_others_are_not(client_for: Any) -> None:
    organization = OrganizationFactory()
    key, text = make_key(organization)
    _, other = make_key(organization)
    keys.revoke_key(key)
    assert client_for(text).get(URL).status_code == 401
    assert client_for(other).get(URL).status_code == 200


def test_the_last_use_is_noted_once_a_minute(client_for: Any) -> None:
    key, text = make_key()
    client = client_for(text)

    def used_at() -> Any:
        key.refresh_from_db()
        return key.last_used_at

    client.get(URL)
    first = used_at()
    assert abs(first - timezone.now()) < timedelta(seconds=10)
    client.get(URL)
    assert used_at() == first
    with time_machine.travel(first + timedelta(seconds=61)):
        client.get(URL)
    assert used_at() > first


def test_live_and_test_keys_see_their_own_rows_only(client_for: Any) -> None:
    live = SocialAccountFactory(mode="live")
    test = SocialAccountFactory(mode="test", organization=live.organization)
    for account, other in ((live, test), (test, live)):
        client = client_for(account)
        assert [row["id"] for row in client.get(URL).json()["data"]] == [str(account.pk)]
        assert client.get(f"{URL}/{account.pk}").status_code == 200
        for path in (f"{URL}/{other.pk}", f"{URL}/{other.pk}/health"):
            assert client.get(path).status_code == 404


def test_reading_needs_no_scope_and_writing_does(client_for: Any) -> None:
    account = SocialAccountFactory()
    for scopes in ([], ["posts:write"], ["webhooks:write"]):
        client = client_for(account, scopes=scopes)
        assert client.get(URL).status_code == 200
        refused = [
            client.post(URL, {}),
            client.patch(f"{URL}/{account.pk}", {}),
            client.delete(f"{URL}/{account.pk}"),
        ]
        assert [(each.status_code, each.json()["code"]) for each in refused] == [(403, "insufficient_scope")] * 3
    for scopes in (["accounts:write"], ["*"], None):
        assert client_for(account, scopes=scopes).patch(f"{URL}/{account.pk}", {}).status_code == 200


# --- commands --------------------------------------------------------------------------------------------------------


def test_commands_make_an_organization_and_a_key_that_works(capsys: Any, client_for: Any) -> None:
    call_command("create_org", "Acme")
    organization = Organization.objects.get(pk=capsys.readouterr().out.strip())
    assert organization.name == "Acme"
    call_command("create_api_key", str(organization.pk), "--test", "--scopes", "posts:write,accounts:write")
    text = capsys.readouterr().out.strip()
    assert FORM.fullmatch(text)
    key = keys.find_key(text)
    assert key is not None
    assert (key.organization, key.mode, key.scopes) == (organization, "test", ["posts:write", "accounts:write"])
    assert client_for(text).get(URL).status_code == 200


@pytest.mark.parametrize(
    ("options", "scopes"), [([], ["*"]), (["--scopes"], []), (["--scopes", "posts:write"], ["posts:write"])]
)
def test_a_key_from_the_command_is_live_and_may_do_everything_unless_said_otherwise(
    capsys: Any, options: list[str], scopes: list[str]
) -> None:
    call_command("create_api_key", str(OrganizationFactory().pk), *options)
    key = keys.find_key(capsys.readouterr().out.strip())
    assert key is not None and (key.mode, key.scopes) == ("live", scopes)


@pytest.mark.parametrize("org", ["nonsense", "00000000-0000-4000-8000-000000000000"])
def test_a_key_for_no_organization_is_an_error_that_says_so(org: str) -> None:
    with pytest.raises(CommandError, match=f"There is no organization {org}"):
        call_command("create_api_key", org)


def test_a_name_that_is_too_long_is_an_error_that_says_so() -> None:
    organization = str(OrganizationFactory().pk)
    with pytest.raises(CommandError, match="at most 200 characters"):
        call_command("create_api_key", organization, "--name", "n" * 201)
    call_command("create_api_key", organization, "--name", "n" * 200)


def test_an_unknown_scope_is_an_error_that_names_it() -> None:
    with pytest.raises(CommandError, match="unknown scope posts:read"):
        call_command("create_api_key", str(OrganizationFactory().pk), "--scopes", "posts:read")
    assert not ApiKey.objects.exists()


def test_a_rotated_key_may_do_the_same_and_the_old_one_works_on_for_a_while(capsys: Any, client_for: Any) -> None:
    old, old_text = make_key(mode="live", scopes=["posts:write"], name="Reports")
    call_command("rotate_api_key", f"sk_live_{old.prefix}", "--keep-old-for", "2h")
    text = capsys.readouterr().out.strip()
    key = keys.find_key(text)
    assert key is not None and key != old
    same = ("organization_id", "mode", "scopes", "name", "expires_at")
    assert [getattr(key, name) for name in same] == [getattr(old, name) for name in same]
    assert [client_for(each).get(URL).status_code for each in (text, old_text)] == [200, 200]
    with time_machine.travel(timezone.now() + timedelta(hours=2, seconds=1)):
        assert [client_for(each).get(URL).status_code for each in (text, old_text)] == [200, 401]


def test_rotating_never_lengthens_a_keys_life_and_may_end_it_at_once(capsys: Any) -> None:
    end = timezone.now() + timedelta(hours=1)
    short, _ = make_key(expires_at=end)
    call_command("rotate_api_key", str(short.pk), "--keep-old-for", "7d")
    assert ApiKey.objects.get(pk=short.pk).expires_at == end
    new = keys.find_key(capsys.readouterr().out.strip())
    assert new is not None and new.expires_at == end
    gone, text = make_key()
    call_command("rotate_api_key", gone.prefix, "--keep-old-for", "0")
    assert keys.find_key(text) is None
    assert ApiKey.objects.get(pk=gone.pk).revoked_at is not None


@pytest.mark.parametrize("days", [None, 90])
def test_a_key_rotated_again_in_its_grace_gets_the_end_that_it_had_itself(client_for: Any, days: int | None) -> None:
    end = None if days is None else timezone.now() + timedelta(days=days)
    old, old_text = make_key(expires_at=end)
    lost, _ = keys.rotate_key(old, keep_old_for=timedelta(hours=1))
    keys.rotate_key(lost, keep_old_for=timedelta(hours=1))
    found, text = keys.rotate_key(old, keep_old_for=timedelta(days=7))
    assert (lost.expires_at, found.expires_at) == (end, end)
    with time_machine.travel(timezone.now() + timedelta(hours=2)):
        assert [client_for(each).get(URL).status_code for each in (text, old_text)] == [200, 401]


@pytest.mark.parametrize(
    ("spoil", "options", "says"),
    [
        (lambda key: keys.revoke_key(key), [], "is revoked"),
        (lambda key: ApiKey.objects.update(expires_at=timezone.now()), [], "is expired"),
        (lambda key: None, ["--keep-old-for", "soon"], "expected a duration"),
        (lambda key: None, ["--keep-old-for", "999999w"], "at most 365d"),
    ],
)
def test_what_cannot_be_rotated_stays_as_it_is(spoil: Any, options: list[str], says: str) -> None:
    key, _ = make_key()
    spoil(key)
    before = list(ApiKey.objects.values())
    with pytest.raises(CommandError, match=says):
        call_command("rotate_api_key", str(key.pk), *options)
    assert list(ApiKey.objects.values()) == before


@pytest.mark.parametrize("name", ["id", "prefix", "label", "text"])
def test_a_key_is_revoked_by_whatever_it_is_known_by(capsys: Any, name: str) -> None:
    key, text = make_key()
    other, _ = make_key()
    named = {"id": str(key.pk), "prefix": key.prefix, "label": str(key), "text": text}[name]
    call_command("revoke_api_key", named)
    assert text[-43:] not in capsys.readouterr().out
    assert keys.find_key(text) is None
    assert ApiKey.objects.get(pk=other.pk).revoked_at is None


@pytest.mark.parametrize("command", ["rotate_api_key", "revoke_api_key"])
@pytest.mark.parametrize("named", ["nonsense", "", "abcdefghijkl", "00000000-0000-4000-8000-000000000000", "\x00"])
def test_a_key_that_there_is_not_is_an_error_that_says_so(command: str, named: str) -> None:
    make_key()
    with pytest.raises(CommandError, match="There is no key"):
        call_command(command, named)
    assert ApiKey.objects.filter(revoked_at=None).count() == 1


def test_an_organizations_keys_are_listed_without_their_secrets(capsys: Any, client_for: Any) -> None:
    organization = OrganizationFactory()
    used, text = make_key(organization, name="Reports", scopes=["posts:write"])
    ended, _ = make_key(organization, mode="live")
    keys.revoke_key(ended)
    make_key()
    client_for(text).get(URL)
    call_command("list_api_keys", str(organization.pk), "--json")
    out = capsys.readouterr().out
    assert used.secret_hash not in out and text[-43:] not in out
    rows = {row["id"]: row for row in json.loads(out)}
    assert set(rows) == {str(used.pk), str(ended.pk)}
    told = rows[str(used.pk)]
    assert (told["name"], told["mode"], told["scopes"]) == ("Reports", "test", ["posts:write"])
    assert told["key"] == str(used)
    assert (told["state"], rows[str(ended.pk)]["state"]) == ("valid", "revoked")
    assert told["last_used_at"] is not None and rows[str(ended.pk)]["last_used_at"] is None
    call_command("list_api_keys", str(organization.pk))
    assert f"sk_test_{used.prefix}" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["", "   ", "x" * 201, "\udcff"])
def test_an_organization_needs_a_name(name: str) -> None:
    with pytest.raises(CommandError, match="NAME"):
        call_command("create_org", name)

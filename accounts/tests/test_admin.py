from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.admin.utils import quote
from django.contrib.auth.models import Permission, User
from django.urls import reverse
from django.utils import timezone

from accounts.models import ApiKey, Flight, Gate, SocialAccount, SocialNetwork, Status, WebhookEvent
from accounts.services import crypto, gates, keys
from accounts.services.events import emit_account_event
from accounts.tests.factories import OrganizationFactory, SocialAccountFactory, SocialNetworkFactory, make_key

pytestmark = pytest.mark.django_db


@pytest.fixture
def staff(client: Any) -> Any:
    """A browser in which a superuser is signed in."""
    client.force_login(User.objects.create_superuser("root"))
    return client


@pytest.fixture
def signed_in(client: Any) -> Any:
    """The browser of somebody on the staff with some permissions."""

    def sign_in(*permissions: str) -> Any:
        user = User.objects.create_user("some", is_staff=True)
        user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
        client.force_login(user)
        return client

    return sign_in


def listing(model: Any) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")


def page(row: Any, action: str = "change") -> str:
    name = f"admin:{row._meta.app_label}_{row._meta.model_name}_{action}"
    return reverse(name, args=(quote(row.pk),))


def run(client: Any, model: Any, action: str, *rows: Any) -> Any:
    """Run an action on ticked rows."""
    ticked = {"action": action, "_selected_action": [str(row.pk) for row in rows]}
    return client.post(listing(model), ticked, follow=True)


# --- who may -----------------------------------------------------------------


def test_those_who_are_not_staff_are_sent_to_log_in(client: Any) -> None:
    account = SocialAccountFactory()
    addresses = [reverse("admin:index"), listing(SocialAccount), page(account), page(account, "disable")]
    client.force_login(User.objects.create_user("customer"))
    for address in addresses:
        assert client.get(address).headers["Location"].startswith(reverse("admin:login"))


def test_staff_see_and_do_only_what_they_may(signed_in: Any) -> None:
    account, (key, _) = SocialAccountFactory(), make_key()
    client = signed_in("view_socialaccount", "view_organization")
    assert client.get(page(account)).status_code == 200
    assert client.get(page(key)).status_code == 403
    for action in ("disable", "enable", "probe", "collect_now"):
        assert client.post(page(account, action)).status_code == 403
    assert client.post(page(account.organization, "create_key"), {"mode": "live"}).status_code == 403
    run(client, SocialAccount, "disable_selected", account)
    account.refresh_from_db()
    assert account.status == Status.ACTIVE
    assert ApiKey.objects.count() == 1


def test_logging_in_leads_to_the_admin(client: Any) -> None:
    User.objects.create_superuser("root", password="a-password")
    answer = client.post(reverse("admin:login"), {"username": "root", "password": "a-password"})
    assert answer.headers["Location"] == reverse("admin:index")


# --- keys --------------------------------------------------------------------


def test_a_key_is_created_by_a_form_only(staff: Any) -> None:
    organization = OrganizationFactory()
    assert b"shown once" in staff.get(page(organization, "create_key")).content
    assert not ApiKey.objects.exists()


def test_a_created_key_works_and_is_shown_once(staff: Any) -> None:
    organization = OrganizationFactory()
    given = {"mode": "live", "name": "Reports", "scopes": ["posts:write"], "last_day": "2100-01-01"}
    answer = staff.post(page(organization, "create_key"), given)
    text = answer.context["secret"]
    assert answer.content.decode().count(text) == 1
    assert "no-store" in answer.headers["Cache-Control"]

    key = keys.find_key(text)
    assert key is not None
    assert (key.organization, key.mode, key.name, key.scopes) == (organization, "live", "Reports", ["posts:write"])
    assert f"{key.expires_at:%Y-%m-%d %H:%M}" == "2100-01-02 00:00"

    secret = text.removeprefix(f"sk_live_{key.prefix}")
    later = [page(organization), page(organization, "create_key"), page(key), listing(ApiKey), listing(LogEntry)]
    for address in later:
        content = staff.get(address).content.decode()
        assert secret not in content
        assert key.secret_hash not in content
    assert secret not in str(dict(staff.session))
    assert not LogEntry.objects.filter(change_message__contains=secret).exists()
    assert LogEntry.objects.filter(object_id=str(key.pk)).exists()


@pytest.mark.parametrize("given", [{"mode": "prod"}, {"scopes": ["all"]}, {"last_day": "2020-01-01"}])
def test_a_key_that_makes_no_sense_is_not_created(staff: Any, given: dict[str, Any]) -> None:
    answer = staff.post(page(OrganizationFactory(), "create_key"), {"mode": "test", **given})
    assert answer.status_code == 200
    assert not ApiKey.objects.exists()


def test_a_key_is_rotated_by_a_form_and_the_new_one_shown_once(staff: Any) -> None:
    old, old_text = make_key(scopes=["posts:write"])
    assert b"Rotate" in staff.get(page(old, "rotate")).content
    assert staff.post(page(old, "rotate"), {"keep_old_for": "5"}).status_code == 200
    assert ApiKey.objects.count() == 1
    answer = staff.post(page(old, "rotate"), {"keep_old_for": "24"})
    text = answer.context["secret"]
    assert answer.content.decode().count(text) == 1 and "no-store" in answer.headers["Cache-Control"]
    new = keys.find_key(text)
    assert new is not None and (new.organization, new.scopes) == (old.organization, ["posts:write"])
    assert keys.find_key(old_text) == old
    old.refresh_from_db()
    assert timedelta(hours=23) < old.expires_at - timezone.now() <= timedelta(hours=24)
    staff.post(page(old, "rotate"), {"keep_old_for": "0"})
    assert keys.find_key(old_text) is None
    assert staff.post(page(old, "rotate"), {"keep_old_for": "0"}).status_code == 302
    assert ApiKey.objects.count() == 3


def test_rotating_takes_the_right_to_make_keys(signed_in: Any) -> None:
    key, _ = make_key()
    client = signed_in("view_apikey", "change_apikey")
    assert client.post(page(key, "rotate"), {"keep_old_for": "24"}).status_code == 403
    assert ApiKey.objects.count() == 1


def test_keys_are_revoked_one_by_one_or_together(staff: Any) -> None:
    made = [make_key() for _ in range(3)]
    staff.get(page(made[0][0], "revoke"))
    assert keys.find_key(made[0][1])
    staff.post(page(made[0][0], "revoke"))
    run(staff, ApiKey, "revoke_selected", made[1][0])
    assert [bool(keys.find_key(text)) for _, text in made] == [False, False, True]


# --- accounts ----------------------------------------------------------------


def test_disabling_asks_first_and_can_be_undone(staff: Any, status_of: Any) -> None:
    account = SocialAccountFactory()
    staff.get(page(account, "disable"))
    assert status_of(account) == "active"
    staff.post(page(account, "disable"))
    assert status_of(account) == "disabled"
    staff.post(page(account, "enable"))
    assert status_of(account) == "active"
    assert list(LogEntry.objects.order_by("id").values_list("change_message", flat=True)) == ["Disabled.", "Enabled."]


def test_enabling_cures_no_dead_token_and_says_so(staff: Any, status_of: Any) -> None:
    account = SocialAccountFactory(status=Status.REVOKED)
    staff.post(page(account, "disable"))
    answer = staff.post(page(account, "enable"), follow=True)
    assert status_of(account) == "revoked"
    assert "is revoked, as it was before" in answer.content.decode()


def test_only_what_is_disabled_can_be_enabled(staff: Any, status_of: Any) -> None:
    account = SocialAccountFactory(status=Status.REVOKED)
    staff.post(page(account, "enable"))
    assert status_of(account) == "revoked"


def test_ticked_accounts_are_disabled_but_for_deleted_ones(staff: Any, status_of: Any) -> None:
    alive, deleted = SocialAccountFactory(), SocialAccountFactory(deleted_at=timezone.now())
    run(staff, SocialAccount, "disable_selected", alive, deleted)
    assert (status_of(alive), status_of(deleted)) == ("disabled", "active")


def test_a_deleted_account_is_said_to_be_so_and_can_only_be_looked_at(staff: Any) -> None:
    account = SocialAccountFactory(deleted_at=timezone.now(), tenant_id="old")
    for address in (listing(SocialAccount), page(account)):
        assert b">deleted<" in b"".join(staff.get(address).content.split())
    content = staff.get(page(account)).content.decode()
    assert 'name="tenant_id"' not in content and page(account, "disable") not in content
    assert staff.post(page(account), {"tenant_id": "new"}).status_code == 403
    account.refresh_from_db()
    assert account.tenant_id == "old"


def test_saving_an_account_changes_its_tenant_and_nothing_else(staff: Any) -> None:
    account = SocialAccountFactory(tenant_id="old")
    form = {
        "tenant_id": "new",
        "status": "revoked",
        "access_token": "stolen",
        "network_unique_id": "1",
        "platform": "x",
    }
    assert staff.post(page(account), form).status_code == 302
    kept = SocialAccount.objects.get(pk=account.pk)
    assert kept.tenant_id == "new"
    assert (kept.status, kept.access_token, kept.network_unique_id) == (
        account.status,
        account.access_token,
        account.network_unique_id,
    )


def test_saving_an_account_does_not_bring_old_tokens_back(staff: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    account = SocialAccountFactory()
    from accounts.admin import SocialAccountAdmin

    read = SocialAccountAdmin.get_object

    def read_then_renewed(*args: Any) -> Any:
        found = read(*args)
        SocialAccount.objects.filter(pk=account.pk).update(access_token="renewed")
        return found

    monkeypatch.setattr(SocialAccountAdmin, "get_object", read_then_renewed)
    staff.post(page(account), {"tenant_id": "new"})
    kept = SocialAccount.objects.get(pk=account.pk)
    assert (kept.tenant_id, kept.access_token) == ("new", "renewed")


@pytest.mark.parametrize("name", ["id", "network_unique_id", "tenant_id", "username"])
def test_accounts_are_found(staff: Any, name: str) -> None:
    wanted = SocialAccountFactory(tenant_id="t-1", username="somebody")
    SocialAccountFactory(tenant_id="t-2", username="nobody")
    answer = staff.get(listing(SocialAccount), {"q": f" {getattr(wanted, name)} "})
    assert list(answer.context["cl"].result_list) == [wanted]


def test_accounts_are_filtered_by_what_operators_ask(staff: Any) -> None:
    broken = SocialAccountFactory(last_error_code="rate_limited", platform="instagram")
    dead = SocialAccountFactory(status=Status.TOKEN_EXPIRED, mode="live")
    deleted = SocialAccountFactory(deleted_at=timezone.now(), token_expires_at=timezone.now() - timedelta(days=9))
    expired_on = (timezone.now() - timedelta(days=9)).date().isoformat()

    def found(**query: Any) -> set[Any]:
        return set(staff.get(listing(SocialAccount), query).context["cl"].result_list)

    assert found() == {broken, dead, deleted}
    assert found(error="any") == found(error="rate_limited") == {broken}
    assert found(status__exact="token_expired") == found(mode__exact="live") == {dead}
    assert found(platform__exact="instagram") == {broken}
    assert found(organization__id__exact=dead.organization_id) == {dead}
    assert found(deleted_at__isempty="0") == {deleted}
    assert found(token_expires_at_from=expired_on, token_expires_at_to=expired_on) == {deleted}


def test_a_day_that_is_none_is_not_taken_for_any(staff: Any) -> None:
    answer = staff.get(listing(SocialAccount), {"token_expires_at_from": "soon"})
    assert answer.headers["Location"].endswith("?e=1")


# --- probing -----------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_probing_shows_what_each_platform_says(staff: Any, sandbox: Any, status_of: Any) -> None:
    healthy, withdrawn = sandbox.connect("x"), sandbox.connect("instagram")
    disabled = sandbox.connect("bluesky", status=Status.DISABLED)
    sandbox.revoke(withdrawn)
    answer = run(staff, SocialAccount, "probe_selected", healthy, withdrawn, disabled)
    found = {health.account.pk: health for health in answer.context["found"]}
    assert found[healthy.pk].healthy
    assert found[withdrawn.pk].error_code in {"token_expired", "reauth_required"}
    assert (found[disabled.pk].error_code, found[disabled.pk].checked_live) == ("disabled", False)
    assert status_of(withdrawn) != "active"
    assert found[withdrawn.pk].error_code in answer.content.decode()


@pytest.mark.django_db(transaction=True)
def test_probing_one_account_asks_first(staff: Any, sandbox: Any) -> None:
    account = sandbox.connect("x")
    assert b"asked now" in staff.get(page(account, "probe")).content
    assert sandbox.calls("x") == 0
    answer = staff.post(page(account, "probe"))
    assert sandbox.calls("x") == 1
    assert b"healthy" in answer.content


# --- OAuth apps --------------------------------------------------------------


def form_of(network: SocialNetwork, **changed: Any) -> dict[str, Any]:
    return {"client_id": network.client_id, "scopes": "[]", "extra_config": "{}", "is_enabled": "on", **changed}


def test_a_client_secret_goes_in_encrypted_and_never_comes_out(staff: Any) -> None:
    organization = OrganizationFactory()
    more = {"organization": organization.pk, "mode": "live", "platform": "x", "new_secret": "very-secret"}
    form = {"client_id": "an-app", "scopes": "[]", "extra_config": "{}", "is_enabled": "on", **more}
    answer = staff.post(reverse("admin:accounts_socialnetwork_add"), form)
    network = SocialNetwork.objects.get()
    assert answer.status_code == 302
    assert "very-secret" not in network.client_secret
    assert crypto.decrypt(network.client_secret) == "very-secret"
    for address in (page(network), listing(SocialNetwork)):
        content = staff.get(address).content.decode()
        assert "very-secret" not in content
        assert network.client_secret not in content


def test_an_empty_client_secret_keeps_the_one_there_is(staff: Any) -> None:
    network = SocialNetworkFactory(secret="kept")
    assert staff.post(page(network), form_of(network, display_name="Ours", new_secret="")).status_code == 302
    network.refresh_from_db()
    assert (network.display_name, crypto.decrypt(network.client_secret)) == ("Ours", "kept")
    staff.post(page(network), form_of(network, new_secret="new"))
    network.refresh_from_db()
    assert crypto.decrypt(network.client_secret) == "new"


def test_a_refused_form_does_not_give_the_secret_back(staff: Any) -> None:
    network = SocialNetworkFactory()
    answer = staff.post(page(network), form_of(network, client_id="", new_secret="very-secret"))
    assert answer.status_code == 200
    assert b"very-secret" not in answer.content


# --- users -------------------------------------------------------------------


def test_users_are_made_inactive_and_not_deleted(staff: Any) -> None:
    user = User.objects.create_user("left", is_staff=True)
    content = staff.get(page(user)).content.decode()
    assert page(user, "delete") not in content
    assert "Unselect this instead of deleting accounts" in content
    assert staff.post(page(user, "delete"), {"post": "yes"}).status_code == 403
    assert "delete_selected" not in staff.get(listing(User)).content.decode()


# --- what the service notes --------------------------------------------------


def test_a_gate_is_opened_by_staff_and_keeps_its_row(staff: Any) -> None:
    until = timezone.now() + timedelta(hours=1)
    for name in ("tweets", "users"):
        gates.close("x", f"test/x:app:1:{name}", until, "rate_limited")
    one, other = Gate.objects.order_by("key")
    staff.get(page(one, "open_gate"))
    assert gates.DatabaseGates("x", "test").parked(["x:app:1:tweets"]) is not None
    staff.post(page(one, "open_gate"))
    run(staff, Gate, "open_selected", other)
    assert gates.DatabaseGates("x", "test").parked(["x:app:1:tweets", "x:app:1:users"]) is None
    assert set(Gate.objects.values_list("reason", flat=True)) == {"opened by staff"}


def test_machine_written_rows_can_only_be_looked_at(staff: Any) -> None:
    account = SocialAccountFactory()
    emit_account_event(account, "account.connected")
    gates.close("x", "x:app:1:tweets", timezone.now(), "rate_limited")
    flight = Flight.objects.create(key="probe:1", holder=account.pk, in_flight_until=timezone.now())
    key, _ = make_key()
    for row in (WebhookEvent.objects.get(), Gate.objects.get(), flight, key):
        before = type(row).objects.filter(pk=row.pk).values().get()
        assert staff.get(page(row)).status_code == 200
        assert staff.post(page(row), {"type": "x", "reason": "x", "name": "x", "key": "x"}).status_code == 403
        assert staff.post(page(row, "delete"), {"post": "yes"}).status_code == 403
        assert staff.get(listing(type(row)).rstrip("/") + "/add/").status_code == 403
        assert type(row).objects.filter(pk=row.pk).values().get() == before


def test_organizations_and_accounts_are_not_deleted_here(staff: Any) -> None:
    account = SocialAccountFactory()
    for row in (account, account.organization):
        assert staff.post(page(row, "delete"), {"post": "yes"}).status_code == 403


def test_organizations_are_made_and_renamed(staff: Any) -> None:
    staff.post(reverse("admin:accounts_organization_add"), {"name": "Acme"})
    answer = staff.get(listing(SocialAccount.organization.field.related_model), {"q": "acm"})
    (made,) = answer.context["cl"].result_list
    staff.post(page(made), {"name": "Acme Ltd"})
    made.refresh_from_db()
    assert made.name == "Acme Ltd"

"""Who changed what is known: of keys, of staff and of commands."""

import logging
import time
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.utils import quote
from django.contrib.auth.models import Group, User
from django.core.management import call_command
from django.db import DatabaseError, connection
from django.test.utils import CaptureQueriesContext
from django.urls import URLPattern, get_resolver, reverse
from django.utils import timezone
from rest_framework.permissions import SAFE_METHODS

from accounts.models import ApiKey, AuditEntry, Gate, Organization, SocialAccount, WebhookDelivery, WebhookEvent
from accounts.services import audit, gates, keys
from accounts.tests.consents import Walk, network
from accounts.tests.factories import (
    OrganizationFactory,
    SocialAccountFactory,
    SocialNetworkFactory,
    WebhookEndpointFactory,
    make_key,
)
from postfuze.api.viewsets import OrganizationViewSet

pytestmark = pytest.mark.django_db
URL = "/api/v1/social-accounts"
SECRET = "a-very-secret-token"
CONNECT = {"platform": "x", "network_unique_id": "2244994945", "access_token": SECRET, "username": "acme"}


@pytest.fixture
def staff(client: Any) -> Any:
    client.force_login(User.objects.create_superuser("root"))
    return client


def page(row: Any, action: str = "change") -> str:
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_{action}", args=(quote(row.pk),))


def listing(model: Any) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")


def run(client: Any, model: Any, action: str, *rows: Any, **more: Any) -> Any:
    ticked = {"action": action, "_selected_action": [str(row.pk) for row in rows], **more}
    return client.post(listing(model), ticked, follow=True)


def entries(**given: Any) -> list[tuple[str, str]]:
    rows = AuditEntry.objects.filter(**given).order_by("pk")
    return list(rows.values_list("action", "object_id"))


# --- keys ------------------------------------------------------------------------------------------------------------


def test_a_write_by_a_key_is_known_with_its_request_and_without_what_was_given(client_for: Any) -> None:
    key, text = make_key(name="Reports")
    answer = client_for(text).post(URL, CONNECT, headers={"X-Request-Id": "request-1"})
    entry = AuditEntry.objects.get()
    assert (entry.organization_id, entry.mode, entry.status) == (key.organization_id, "test", 201)
    assert (entry.actor_kind, entry.actor_id, entry.actor_label) == ("key", str(key.pk), f"{key} Reports")
    assert (entry.action, entry.object_kind) == ("POST /api/v1/social-accounts", "social_account")
    assert (entry.object_id, entry.request_id) == (answer.json()["id"], "request-1")
    assert entry.fields == sorted(CONNECT)
    assert abs(entry.at - timezone.now()) < timedelta(seconds=10)
    stored = str(AuditEntry.objects.values().get())
    assert not any(value in stored for value in (SECRET, "2244994945", text[-43:], key.secret_hash))


def test_each_kind_of_write_is_known(client_for: Any) -> None:
    account = SocialAccountFactory()
    client = client_for(account)
    url = f"{URL}/{account.pk}"
    client.patch(url.upper().replace("/API/V1/SOCIAL-ACCOUNTS", URL), {"tenant_id": "t"})
    client.delete(url)
    assert entries() == [
        ("PATCH /api/v1/social-accounts/{id}", str(account.pk)),
        ("DELETE /api/v1/social-accounts/{id}", str(account.pk)),
    ]
    assert list(AuditEntry.objects.order_by("pk").values_list("object_kind", "status", "fields")) == [
        ("social_account", 200, ["tenant_id"]),
        ("social_account", 204, []),
    ]


def test_reads_and_what_was_refused_are_not_writes(client_for: Any) -> None:
    account, stranger = SocialAccountFactory(), SocialAccountFactory()
    client, reader = client_for(account), client_for(account, scopes=[])
    url = f"{URL}/{account.pk}"
    assert client.get(url).status_code == 200
    assert client.options(url).status_code == 200
    assert client.patch(url, {"unknown": 1}).status_code == 400
    assert client.patch(f"{URL}/{stranger.pk}", {}).status_code == 404
    assert client.put(url, {}).status_code == 405
    assert reader.patch(url, {"tenant_id": "t"}).status_code == 403
    assert client_for("sk_test_no").delete(url).status_code == 401
    assert entries() == []


def test_a_read_asks_no_more_of_the_database_and_a_write_one_insert_more(client_for: Any) -> None:
    account = SocialAccountFactory()
    client = client_for(account)
    client.get(f"{URL}/{account.pk}")

    def audited(call: Any) -> int:
        with CaptureQueriesContext(connection) as captured:
            call(f"{URL}/{account.pk}")
        return sum("accounts_auditentry" in each["sql"] for each in captured)

    assert audited(client.get) == 0
    assert audited(client.delete) == 1


@pytest.mark.parametrize("failure", [DatabaseError("away"), RuntimeError("a mistake of ours")])
def test_a_write_that_cannot_be_noted_stays_done_and_is_in_the_log(
    client_for: Any, monkeypatch: pytest.MonkeyPatch, caplog: Any, failure: Exception
) -> None:
    def fails(*args: Any, **more: Any) -> None:
        raise failure

    account = SocialAccountFactory()
    monkeypatch.setattr(AuditEntry.objects, "bulk_create", fails)
    with caplog.at_level(logging.ERROR):
        assert client_for(account).delete(f"{URL}/{account.pk}").status_code == 204
    account.refresh_from_db()
    assert account.deleted_at is not None
    assert "not in the audit" in caplog.text
    assert isinstance(failure, RuntimeError) or str(account.pk) in caplog.text


def test_a_body_that_nobody_reads_is_nobodys_failure(client_for: Any) -> None:
    account = SocialAccountFactory()
    answer = client_for(account).generic("DELETE", f"{URL}/{account.pk}", b"{nonsense", content_type="application/json")
    assert answer.status_code == 204
    assert entries() == [("DELETE /api/v1/social-accounts/{id}", str(account.pk))]


def test_long_names_of_many_fields_are_cut() -> None:
    names = audit._names({f"{n:03}" + "x" * 300: SECRET for n in range(500)})
    assert len(names) == audit.MOST_FIELDS and max(map(len, names)) == 100


@pytest.mark.parametrize(
    ("path", "answered", "ids", "expected"),
    [
        ("posts", {"id": "1"}, {}, ("post", "1")),
        ("posts/{id}", None, {"id": "7"}, ("post", "7")),
        ("posts/{id}/targets/{target_id}", {"id": "9"}, {"id": "7", "target_id": "9"}, ("target", "9")),
        ("posts/{id}/targets/{target_id}", None, {"id": "7", "target_id": "9"}, ("target", "9")),
        ("social-accounts/{id}/imports", {"id": "5"}, {"id": "7"}, ("import", "5")),
        ("social-networks/{platform}/auth-url", {"auth_url": "u"}, {"platform": "x"}, ("social_network", "x")),
        ("social-accounts/pending/{token}/finalize", {}, {"token": SECRET}, ("finalize", "")),
        ("things", [], {}, ("thing", "")),
    ],
)
def test_what_a_call_was_about_is_told_by_its_answer_or_its_path(
    path: str, answered: Any, ids: dict[str, str], expected: tuple[str, str]
) -> None:
    assert audit._objects_of(path.split("/"), answered, ids) == [expected]


def test_each_account_that_a_consent_connected_is_found_by_its_id(walk: Walk, organization: Any, staff: Any) -> None:
    network(organization, "youtube")
    token = walk.pending("youtube")
    ids = walk.finalize(token, *(each["id"] for each in walk.offered(token)["data"]))["account_ids"]
    assert len(ids) == 2
    action = "POST /api/v1/social-accounts/pending/{token}/finalize"
    for account_id in ids:
        assert entries(object_id=account_id) == [(action, account_id)]
        assert AuditEntry.objects.get(object_id=account_id).object_kind == "social_account"
        found = staff.get(listing(AuditEntry), {"q": account_id}).content.decode()
        assert account_id in found and token not in found


def patterns(resolver: Any) -> Any:
    for each in resolver.url_patterns:
        yield from [each] if isinstance(each, URLPattern) else patterns(each)


def test_every_endpoint_that_changes_something_falls_under_the_audit() -> None:
    views = [getattr(each.callback, "cls", None) for each in patterns(get_resolver())]
    actions = [getattr(each.callback, "actions", {}) or {} for each in patterns(get_resolver())]
    unsafe = [
        view
        for view, methods in zip(views, actions, strict=True)
        if {method.upper() for method in methods} - set(SAFE_METHODS)
    ]
    assert len(unsafe) >= 4
    assert all(issubclass(view, OrganizationViewSet) for view in unsafe)


# --- staff -----------------------------------------------------------------------------------------------------------


def test_what_staff_add_change_and_delete_is_known(staff: Any) -> None:
    staff.post(reverse("admin:accounts_organization_add"), {"name": "Acme"})
    organization = Organization.objects.get()
    staff.post(page(organization), {"name": "Acme Ltd"}, headers={"X-Request-Id": "request-2"})
    staff.post(page(organization), {"name": "Acme Ltd"})
    assert entries(actor_kind="staff") == [
        ("admin:add organization", str(organization.pk)),
        ("admin:change organization", str(organization.pk)),
        ("admin:change organization", str(organization.pk)),
    ]
    entry = AuditEntry.objects.get(request_id="request-2")
    assert (entry.organization_id, entry.fields, entry.actor_label) == (organization.pk, ["Name"], "root")
    group = Group.objects.create(name="some")
    staff.post(reverse("admin:auth_group_delete", args=(group.pk,)), {"post": "yes"})
    second = Group.objects.create(name="others")
    run(staff, Group, "delete_selected", second, post="yes")
    assert entries(object_kind="group") == [("admin:delete group", str(g)) for g in (group.pk, second.pk)]


def test_a_secret_that_staff_give_is_named_and_not_kept(staff: Any) -> None:
    network = SocialNetworkFactory()
    form = {"display_name": "", "client_id": "c", "new_secret": SECRET, "redirect_uri": "", "scopes": "[]"}
    staff.post(page(network), {**form, "extra_config": "{}", "is_enabled": "on"})
    entry = AuditEntry.objects.get()
    assert (entry.object_id, entry.organization_id) == (str(network.pk), network.organization_id)
    assert "Client secret" in entry.fields
    assert SECRET not in str(AuditEntry.objects.values().get())


def test_what_buttons_and_actions_of_the_admin_do_is_known(staff: Any) -> None:
    account, (key, _) = SocialAccountFactory(), make_key()
    staff.post(page(account, "disable"))
    staff.post(page(account, "enable"))
    staff.post(page(account, "collect_now"))
    run(staff, SocialAccount, "disable_selected", account)
    run(staff, SocialAccount, "probe_selected", account)
    staff.post(page(key, "revoke"))
    details = ["Disabled.", "Enabled.", "Made due.", "Disabled.", "Probed.", "Revoked."]
    assert list(AuditEntry.objects.order_by("pk").values_list("detail", flat=True)) == details
    assert {row.object_id for row in AuditEntry.objects.filter(object_kind="social_account")} == {str(account.pk)}
    assert AuditEntry.objects.filter(organization=account.organization).count() == 5


def test_what_changed_nothing_is_not_noted(staff: Any) -> None:
    account, (key, _) = SocialAccountFactory(status="disabled"), make_key()
    deleted = SocialAccountFactory(deleted_at=timezone.now())
    keys.revoke_key(key)
    gates.close("x", "gate", timezone.now(), "rate_limited")
    gate, on = Gate.objects.get(), WebhookEndpointFactory()
    off = WebhookEndpointFactory(is_enabled=False)
    event = WebhookEvent.objects.create(organization=off.organization, mode="test", type="x", data={})
    delivery = WebhookDelivery.objects.create(endpoint=off, event=event, status="failed")
    for row, button in [
        *((account, "disable"), (deleted, "disable"), (deleted, "enable"), (deleted, "collect_now"), (key, "revoke")),
        *((gate, "open_gate"), (on, "enable"), (off, "disable"), (delivery, "redeliver")),
    ]:
        assert staff.post(page(row, button)).status_code == 302
    run(staff, SocialAccount, "disable_selected", account, deleted)
    run(staff, SocialAccount, "collect_selected", deleted)
    run(staff, ApiKey, "revoke_selected", key)
    run(staff, Gate, "open_selected", gate)
    run(staff, WebhookDelivery, "redeliver_selected", delivery)
    assert list(AuditEntry.objects.values_list("action", "detail")) == []


def test_of_ticked_rows_those_are_noted_that_were_changed(staff: Any) -> None:
    account, key = SocialAccountFactory(), make_key()[0]
    disabled, revoked = SocialAccountFactory(status="disabled"), make_key()[0]
    keys.revoke_key(revoked)
    run(staff, SocialAccount, "disable_selected", account, disabled)
    run(staff, ApiKey, "revoke_selected", key, revoked)
    assert set(AuditEntry.objects.values_list("object_id", flat=True)) == {str(account.pk), str(key.pk)}


def test_who_changes_their_own_password_is_known(client: Any) -> None:
    user = User.objects.create_superuser("root", password="an-old-password")
    client.force_login(user)
    new = {"new_password1": "a-long-new-password", "new_password2": "a-long-new-password"}
    assert client.post(reverse("admin:password_change"), {"old_password": "wrong", **new}).status_code == 200
    assert entries() == []
    client.post(reverse("admin:password_change"), {"old_password": "an-old-password", **new})
    assert entries(actor_id=str(user.pk)) == [("admin:change user", str(user.pk))]
    assert client.get(reverse("admin:index")).status_code == 200
    client.logout()
    assert reverse("admin:login") in client.post(reverse("admin:password_change"), new).headers["Location"]
    assert len(entries()) == 1


def test_a_change_of_staff_that_is_undone_is_not_noted(staff: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    key, text = make_key()

    def fails(*args: Any) -> None:
        raise RuntimeError("after the change, within its transaction")

    monkeypatch.setattr("django.contrib.admin.ModelAdmin.log_change", fails)
    staff.raise_request_exception = False
    assert staff.post(page(key, "revoke")).status_code == 500
    assert keys.find_key(text) == key
    assert entries() == []


def test_the_text_of_a_new_key_is_in_no_entry(staff: Any) -> None:
    organization = OrganizationFactory()
    made = staff.post(page(organization, "create_key"), {"mode": "live", "name": "n", "scopes": ["*"]})
    key = ApiKey.objects.get()
    rotated = staff.post(page(key, "rotate"), {"keep_old_for": "24"})
    new = ApiKey.objects.exclude(pk=key.pk).get()
    assert entries() == [
        ("admin:add api_key", str(key.pk)),
        ("admin:change api_key", str(key.pk)),
        ("admin:add api_key", str(new.pk)),
    ]
    stored = str(list(AuditEntry.objects.values()))
    assert not any(answer.context["secret"][-43:] in stored for answer in (made, rotated))


# --- commands --------------------------------------------------------------------------------------------------------


def test_what_commands_do_to_organizations_and_keys_is_known(capsys: Any) -> None:
    call_command("create_org", "Acme")
    organization = Organization.objects.get()
    call_command("create_api_key", str(organization.pk), "--test")
    key = ApiKey.objects.get()
    call_command("rotate_api_key", str(key.pk))
    new = ApiKey.objects.exclude(pk=key.pk).get()
    call_command("revoke_api_key", str(key.pk))
    assert entries(actor_kind="command", organization=organization) == [
        ("command:create_org", str(organization.pk)),
        ("command:create_api_key", str(key.pk)),
        ("command:rotate_api_key", str(key.pk)),
        ("command:rotate_api_key", str(new.pk)),
        ("command:revoke_api_key", str(key.pk)),
    ]
    stored = str(list(AuditEntry.objects.values()))
    texts = [word for word in capsys.readouterr().out.split() if len(word) == len("sk_test_") + 12 + 43]
    assert len(texts) == 2 and not [text for text in texts if text[-43:] in stored]


# --- keeping and finding ---------------------------------------------------------------------------------------------


def test_old_entries_are_removed_page_by_page(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.AUDIT_KEEP = timedelta(days=10)
    monkeypatch.setattr(audit, "PAGE", 2)
    ages = (30, 25, 20, 15, 11, 9, 0)
    for days in ages:
        AuditEntry.objects.create(actor_kind="key", action="POST /x", at=timezone.now() - timedelta(days=days))
    assert audit.forget_old(until=0) == 2
    assert audit.forget_old(until=time.monotonic() + 60) == 3
    assert AuditEntry.objects.count() == 2


def test_entries_are_found_by_object_by_request_and_by_actor_and_only_looked_at(staff: Any) -> None:
    given = [("o-1", "r-1", "k-1"), ("o-1", "r-2", "k-2"), ("o-2", "r-1", "k-2")]
    rows = [
        AuditEntry.objects.create(
            actor_kind="key", action="POST /x", object_id=o, request_id=r, actor_id=k, fields=["some_field"]
        )
        for o, r, k in given
    ]

    def found(term: str) -> list[Any]:
        return list(staff.get(listing(AuditEntry), {"q": term}).context["cl"].result_list)

    assert found("o-1") == [rows[1], rows[0]]
    assert found("r-1") == [rows[2], rows[0]]
    assert found("k-2") == [rows[2], rows[1]]
    assert found("o-") == []
    assert b"some_field" in staff.get(page(rows[0])).content
    assert staff.post(page(rows[0]), {"action": "y"}).status_code == 403
    assert staff.post(page(rows[0], "delete"), {"post": "yes"}).status_code == 403
    assert AuditEntry.objects.count() == 3

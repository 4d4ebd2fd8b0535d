from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db.models import Model
from django.http import HttpResponse
from django.urls import resolve

from accounts.admin.organizations import OWNED
from accounts.tests.factories import OrganizationFactory
from postfuze.admin import ForgedInputMiddleware, ReadOnlyAdmin, list_url


class UserAdmin(ReadOnlyAdmin):
    fields = [("username", "email"), "is_active"]


@pytest.mark.django_db
def test_rows_of_the_service_can_be_looked_at_only(rf: Any, settings: Any) -> None:
    request = rf.get("/")
    request.user = User.objects.create_superuser("root")
    page = UserAdmin(User, admin.site)
    assert not page.has_add_permission(request)
    assert not page.has_change_permission(request)
    assert not page.has_delete_permission(request)
    assert page.has_view_permission(request)
    assert page.get_readonly_fields(request) == ["username", "email", "is_active"]


@pytest.mark.django_db
def test_the_admin_site_opens_under_its_name(client: Any) -> None:
    client.force_login(User.objects.create_superuser("root"))
    assert b"PostFuze Analytics" in client.get("/admin/").content


@pytest.mark.django_db
@pytest.mark.parametrize("model", admin.site._registry, ids=lambda model: model._meta.label)
def test_an_action_on_what_is_no_id_is_refused_or_finds_nothing(client: Any, model: type[Model]) -> None:
    client.force_login(User.objects.create_superuser("root"))
    action = (*admin.site.get_model_admin(model).actions, "delete_selected")[0]
    for given in ("zzz", "9" * 30, "a\x00b"):
        answer = client.post(list_url(model), {"action": action, "_selected_action": given})
        assert answer.status_code in (200, 302, 400, 403)


@pytest.mark.django_db
@pytest.mark.parametrize(
    "forged",
    [
        *("accounts/gate/a%00b/change/", "accounts/flight/%00/change/", "analytics/heartbeat/%00/change/"),
        "autocomplete/?term=%00&app_label=accounts&model_name=socialnetwork&field_name=organization",
        *("accounts/gate/?q=%00", "auth/user/%00/change/", "accounts/gate/%00/open/"),
    ],
)
def test_what_no_database_holds_is_refused_or_not_found(client: Any, forged: str) -> None:
    client.force_login(User.objects.create_superuser("root"))
    assert client.get(f"/admin/{forged}").status_code in (200, 302, 400, 404)


@pytest.mark.django_db
def test_a_form_whose_choice_is_no_id_is_refused(client: Any) -> None:
    client.force_login(User.objects.create_superuser("root"))
    form = {"organization": "abc", "mode": "test", "platform": "x", "client_id": "c"}
    assert client.post("/admin/accounts/socialnetwork/add/", form).status_code == 400


@pytest.mark.parametrize(
    ("address", "error", "status"),
    [
        ("/admin/", ValidationError("of a form"), 400),
        ("/admin/", KeyError("of ours"), None),
        ("/docs", ValidationError("of ours"), None),
    ],
)
def test_only_what_the_admin_was_sent_is_taken_for_forged(rf: Any, address: str, error: Exception, status: Any) -> None:
    request = rf.get(address)
    request.resolver_match = resolve(address)
    answer = ForgedInputMiddleware(lambda request: HttpResponse()).process_exception(request, error)
    assert getattr(answer, "status_code", None) == status


SECRETS = [
    *("accounts.socialaccount access_token", "accounts.socialnetwork client_secret", "accounts.apikey secret_hash"),
    *("accounts.webhookendpoint secret", "accounts.connectsession payload", "auth.user password"),
    *("accounts.webhookdelivery endpoint__secret", "analytics.target account__access_token"),
    *("accounts.socialaccount organization__api_keys__secret_hash", "admin.logentry user__password"),
]


@pytest.mark.django_db
@pytest.mark.parametrize("named", SECRETS)
def test_a_list_is_not_narrowed_by_how_a_secret_begins(client: Any, named: str) -> None:
    client.force_login(User.objects.create_superuser("root"))
    model, column = named.split()
    for lookup in ("startswith", "contains", "gt", "regex", "exact"):
        assert client.get(list_url(model), {f"{column}__{lookup}": "g"}).status_code == 400


@pytest.mark.django_db
@pytest.mark.parametrize("model", admin.site._registry, ids=lambda model: model._meta.label)
def test_what_is_no_filter_of_a_list_does_not_narrow_it(rf: Any, model: type[Model]) -> None:
    page = admin.site.get_model_admin(model)
    filters = [each[0] if isinstance(each, tuple) else each for each in page.list_filter]
    request = rf.get("/")
    for field in model._meta.get_fields():
        assert page.lookup_allowed(f"{field.name}__startswith", "g", request) == (field.name in filters)


@pytest.mark.django_db
@pytest.mark.parametrize("model", OWNED)
def test_an_organizations_page_leads_to_lists_of_what_it_has(client: Any, model: str) -> None:
    client.force_login(User.objects.create_superuser("root"))
    answer = client.get(list_url(model, organization__id__exact=OrganizationFactory().pk))
    assert answer.context["cl"].result_count == 0

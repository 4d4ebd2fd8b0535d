from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.db.models import Model

from accounts.admin.organizations import OWNED
from accounts.tests.factories import OrganizationFactory
from postfuze.admin import ReadOnlyAdmin, list_url


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

from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import User

from postfuze.admin import ReadOnlyAdmin


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

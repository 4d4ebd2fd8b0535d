"""What all admin pages have in common."""

from typing import Any

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest
from unfold.admin import ModelAdmin

admin.site.site_title = admin.site.site_header = admin.site.index_title = "PostFuze Analytics"


class Admin(ModelAdmin):
    show_full_result_count = False  # no count of a whole table
    list_per_page = 50


class ReadOnlyAdmin(Admin):
    """For rows that the service writes."""

    actions_on_bottom = False

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> list[str]:
        fields = [field for _, options in self.get_fieldsets(request, obj) for field in options["fields"]]
        return [name for field in fields for name in (field if isinstance(field, list | tuple) else [field])]

    def has_add_permission(self, request: HttpRequest, *args: Any) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

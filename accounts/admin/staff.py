"""Who may open the admin, and what they did there."""

from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, User
from django.http import HttpRequest
from unfold.decorators import display
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from postfuze.admin import Admin, DaysFilter, ReadOnlyAdmin, link, link_to

admin.site.unregister(User)
admin.site.unregister(Group)


@admin.register(User)
class UserAdmin(DjangoUserAdmin, Admin):
    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_filter = ("is_staff", "is_superuser", "is_active")

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return False  # what they did would go along: "Active" is unticked instead, as the form says


@admin.register(Group)
class GroupAdmin(DjangoGroupAdmin, Admin):
    pass


@admin.register(LogEntry)
class StaffEntryAdmin(ReadOnlyAdmin):
    """What staff did in the admin."""

    list_display = ("action_time", "user_link", "content_type", "subject", "message")
    list_select_related = ("user", "content_type")
    list_filter = ("action_flag", ("action_time", DaysFilter))
    sortable_by = ()
    search_fields = ("object_id",)
    search_help_text = "Id of what was changed"
    fields = ("action_time", "user_link", "content_type", "subject", "message")
    user_link = link_to("user")

    @display(description="what")
    def subject(self, entry: LogEntry) -> str:
        url = entry.get_admin_url()
        return link(url, entry.object_repr) if url and not entry.is_deletion() else entry.object_repr

    @display(description="what was done")
    def message(self, entry: LogEntry) -> str:
        return entry.get_change_message() or entry.get_action_flag_display()

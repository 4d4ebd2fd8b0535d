"""Organizations and their API keys."""

from datetime import UTC, datetime, time, timedelta
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db import transaction
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.html import format_html_join
from unfold.contrib.filters.admin import AutocompleteSelectFilter
from unfold.decorators import action, display
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
)

from accounts.models import ApiKey, Mode, Organization
from accounts.selectors import as_uuid
from accounts.services import keys
from postfuze.admin import Admin, ReadOnlyAdmin, link, link_to, list_url

OWNED = {
    "accounts.socialaccount": "Accounts",
    "accounts.apikey": "Keys",
    "accounts.socialnetwork": "OAuth apps",
    "analytics.post": "Posts",
    "accounts.webhookendpoint": "Webhooks",
    "accounts.webhookevent": "Events",
}


class KeyForm(forms.Form):
    """What a new key may do, and for how long."""

    mode = forms.ChoiceField(
        choices=Mode.choices,
        initial=Mode.TEST,
        widget=UnfoldAdminSelectWidget,
        help_text="A test key sees only test rows, which talk to the sandbox; a live key only live ones.",
    )
    name = forms.CharField(
        max_length=200, required=False, widget=UnfoldAdminTextInputWidget, help_text="Who it is for, or what."
    )
    scopes = forms.MultipleChoiceField(
        choices=[("*", "everything"), *((scope, scope) for scope in keys.SCOPES)],
        initial=["*"],
        required=False,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text="What it may write. Reading needs none.",
    )
    last_day = forms.DateField(
        required=False,
        widget=UnfoldAdminTextInputWidget(attrs={"type": "date"}),
        help_text="The last day, in UTC, on which it works. Empty: until it is revoked.",
    )

    def clean_last_day(self) -> datetime | None:
        day = self.cleaned_data["last_day"]
        if day is None:
            return None
        if not timezone.now().date() <= day <= timezone.now().date() + timedelta(days=36525):
            raise forms.ValidationError("Choose today or a later day.")
        return datetime.combine(day + timedelta(days=1), time(), UTC)


@admin.register(Organization)
class OrganizationAdmin(Admin):
    list_display = ("name", "id", "owned", "created_at")
    sortable_by = ("name", "created_at")
    search_fields = ("name",)
    search_help_text = "Name, or id"
    fields = ("name", "id", "created_at", "owned")
    readonly_fields = ("id", "created_at", "owned")
    actions_detail = ("create_key",)

    def find(self, queryset: QuerySet[Any], term: str) -> QuerySet[Any]:
        if (pk := as_uuid(term)) is not None:
            return queryset.filter(pk=pk)
        return queryset.filter(name__icontains=term)

    @display(description="Belongings")
    def owned(self, row: Organization) -> str:
        links = [link(list_url(model, organization__id__exact=row.pk), text) for model, text in OWNED.items()]
        return format_html_join(" · ", "{}", ([each] for each in links))

    def has_delete_permission(self, request: HttpRequest, obj: Organization | None = None) -> bool:
        return False  # it would take all history along

    def has_create_key_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return bool(request.user.has_perm("accounts.add_apikey"))

    @action(description="Create key", url_path="create-key", permissions=["create_key"], icon="key")
    def create_key(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """A new key. Its text is in this one answer and nowhere else."""
        organization = self.one(request, object_id)
        form = KeyForm(request.POST or None)
        if not form.is_valid():
            text = "The key is shown once, on the next page. Only a hash of it is kept."
            return self.confirm(
                request, organization, title="Create an API key", text=text, button="Create key", form=form
            )
        given = form.cleaned_data
        with transaction.atomic():
            key, secret = keys.create_key(
                organization,
                mode=given["mode"],
                name=given["name"],
                scopes=given["scopes"],
                expires_at=given["last_day"],
            )
            self.log_addition(request, key, "Created in the admin.")
        return shown_once(self, request, organization, key, secret)


def shown_once(page: Admin, request: HttpRequest, row: Model, key: ApiKey, secret: str) -> HttpResponse:
    """The one answer that a new key's text is in."""
    title = "API key created"
    answer = page.page(request, row, "admin/accounts/key_created.html", title=title, key=key, secret=secret)
    answer["Cache-Control"] = "no-store"
    return answer


class RotateForm(forms.Form):
    """How long the old key works on."""

    keep_old_for = forms.TypedChoiceField(
        label="The old key works on for",
        coerce=lambda hours: timedelta(hours=int(hours)),
        choices=[
            ("0", "no time: end it now"),
            ("1", "an hour"),
            ("24", "a day"),
            ("168", "a week"),
            ("720", "30 days"),
        ],
        initial="24",
        widget=UnfoldAdminSelectWidget,
        help_text="Until whoever uses it has the new one.",
    )


@admin.register(ApiKey)
class ApiKeyAdmin(ReadOnlyAdmin):
    """Keys are created at their organization; the hash of a secret is nobody's business."""

    list_display = ("__str__", "name", "organization_link", "mode", "scope_list", "state", "last_used_at", "created_at")
    list_select_related = ("organization",)
    list_filter = ("mode", ("revoked_at", admin.EmptyFieldListFilter), ("organization", AutocompleteSelectFilter))
    sortable_by = ("last_used_at", "created_at")
    search_fields = ("prefix",)
    search_help_text = "The twelve characters after sk_live_ or sk_test_, or part of a name"
    fields = (
        "__str__",
        "name",
        "organization_link",
        "mode",
        "scope_list",
        "state",
        "expires_at",
        "revoked_at",
        "successor",
        "last_used_at",
        "created_at",
    )
    actions = ("revoke_selected",)
    actions_detail = ("rotate", "revoke")
    organization_link = link_to("organization")
    successor = link_to("replaced_by", "replaced by")

    def get_queryset(self, request: HttpRequest) -> QuerySet[ApiKey]:
        return super().get_queryset(request).defer("secret_hash")

    def find(self, queryset: QuerySet[Any], term: str) -> QuerySet[Any]:
        return queryset.filter(prefix=term) | queryset.filter(name__icontains=term)

    @display(description="scopes")
    def scope_list(self, key: ApiKey) -> str:
        return ", ".join(key.scopes) or "reading only"

    @display(description="state", label={"valid": "success", "revoked": "danger", "expired": "warning"})
    def state(self, key: ApiKey) -> str:
        return keys.state_of(key)

    def has_revoke_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return bool(request.user.has_perm("accounts.change_apikey"))

    def has_rotate_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return request.user.has_perms(("accounts.add_apikey", "accounts.change_apikey"))

    @action(description="Rotate", url_path="rotate", permissions=["rotate"], icon="autorenew")
    def rotate(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """A new key that may do the same. Its text is in this one answer and nowhere else."""
        old = self.one(request, object_id)
        if keys.state_of(old) != keys.VALID:
            messages.warning(request, f"{old} is {keys.state_of(old)}: make a new key at its organization.")
            return self.back_to(old)
        form = RotateForm(request.POST or None)
        if not form.is_valid():
            text = "A new key with the same mode, scopes and end is shown once, on the next page."
            return self.confirm(request, old, title="Rotate this key?", text=text, button="Rotate", form=form)
        try:
            with transaction.atomic():
                key, secret = keys.rotate_key(old, keep_old_for=form.cleaned_data["keep_old_for"])
                self.log_change(request, old, f"Replaced by {key}.")
                self.log_addition(request, key, f"Replaces {old}.")
        except ValueError as error:  # it ended while the form was looked at
            messages.warning(request, str(error))
            return self.back_to(old)
        return shown_once(self, request, old.organization, key, secret)

    @admin.action(description="Revoke", permissions=["revoke"])
    def revoke_selected(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        revoked = [key for key in queryset if self._revoke(request, key)]
        messages.success(request, f"Revoked: {', '.join(map(str, revoked)) or 'none'}.")

    @action(description="Revoke", url_path="revoke", permissions=["revoke"], icon="key_off")
    def revoke(self, request: HttpRequest, object_id: str) -> HttpResponse:
        key = self.one(request, object_id)
        if request.method != "POST":
            text = "Whoever uses this key is refused from now on. A revoked key never comes back."
            return self.confirm(request, key, title="Revoke this key?", text=text, button="Revoke")
        done = self._revoke(request, key)
        messages.success(request, f"{key} is revoked." if done else f"{key} was revoked.")
        return self.back_to(key)

    def _revoke(self, request: HttpRequest, key: ApiKey) -> bool:
        with transaction.atomic():
            revoked = keys.revoke_key(key)
            if revoked:
                self.log_change(request, key, "Revoked.")
        return revoked

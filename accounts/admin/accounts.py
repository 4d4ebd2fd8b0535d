"""Connected accounts and the OAuth apps they are connected through. Tokens and secrets are never shown."""

import time
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db import transaction
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from unfold.contrib.filters.admin import AutocompleteSelectFilter, DropdownFilter
from unfold.decorators import action, display
from unfold.widgets import UnfoldAdminPasswordWidget

from accounts.connect_serializers import SocialNetworkUpsert
from accounts.models import ConnectSession, SocialAccount, SocialNetwork, Status
from accounts.selectors import as_uuid
from accounts.services import connections, crypto, health, networks
from platforms import errors
from postfuze.admin import Admin, DaysFilter, link_to
from postfuze.api.problems import flatten

PROBE_SECONDS = 10.0
SECRETS = ("access_token", "refresh_token")
STATUS_COLOURS = {
    "active": "success",
    "token expired": "warning",
    "revoked": "danger",
    "disabled": "info",
    "deleted": "danger",
}


def error_codes(base: type[errors.PlatformError] = errors.PlatformError) -> set[str]:
    """The public codes of all failures."""
    return {base.code}.union(*(error_codes(each) for each in base.__subclasses__()))


class ErrorFilter(DropdownFilter):
    """By the last error, or by there being one."""

    title = "last error"
    parameter_name = "error"
    field = "last_error_code"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("any", "any error"), *((code, code) for code in sorted(error_codes()))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if not self.value():
            return queryset
        if self.value() == "any":
            return queryset.exclude(**{self.field: ""})
        return queryset.filter(**{self.field: self.value()})


class DeletedFilter(admin.EmptyFieldListFilter):
    """Whether a row is there for its owner."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.title = "deletion"

    def choices(self, changelist: Any) -> Any:
        words = ("All", "There", "Deleted")
        yield from (
            {**choice, "display": word} for choice, word in zip(super().choices(changelist), words, strict=True)
        )


@admin.register(SocialAccount)
class SocialAccountAdmin(Admin):
    """`analytics.admin` adds what is measured of an account."""

    list_display = (
        "__str__",
        "organization_link",
        "mode",
        "status_label",
        "last_error_code",
        "last_error_at",
        "token_expires_at",
        "last_synced_at",
        "tenant_id",
    )
    list_select_related = ("organization",)
    list_filter = (
        "status",
        "platform",
        "mode",
        ErrorFilter,
        ("organization", AutocompleteSelectFilter),
        ("token_expires_at", DaysFilter),
        ("refresh_expires_at", DaysFilter),
        ("deleted_at", DeletedFilter),
    )
    sortable_by = ("last_error_at", "token_expires_at", "last_synced_at")
    search_fields = ("username",)
    search_help_text = "Id, platform's id or tenant, exact; or part of a name"
    fieldsets = (
        (
            None,
            {
                "fields": (
                    ("id", "organization_link"),
                    ("platform", "mode"),
                    ("network_unique_id", "account_type"),
                    ("username", "display_name"),
                    ("tenant_id", "network_link"),
                )
            },
        ),
        (
            "State",
            {
                "fields": (
                    ("status_label", "status_when_enabled", "deleted_at"),
                    ("last_error_code", "last_error_at"),
                    "last_error_detail",
                    ("last_ok_at", "refused_at"),
                )
            },
        ),
        (
            "Token",
            {
                "fields": (
                    ("token_expires_at", "token_obtained_at"),
                    "refresh_expires_at",
                    ("token_retry_at", "refresh_claimed_until"),
                    "scopes",
                )
            },
        ),
        (
            "Collecting",
            {"fields": (("last_synced_at", "next_collect_at"), ("claimed_until", "failures"))},
        ),
        (
            "Details",
            {
                "classes": ("collapse",),
                "fields": ("extra", "memory", "profile_image_url", ("created_at", "updated_at")),
            },
        ),
    )
    editable = ("tenant_id",)
    actions = ("probe_selected", "disable_selected")
    actions_detail = ("probe", "disable", "enable")
    organization_link = link_to("organization")
    network_link = link_to("social_network", "OAuth app")

    def get_queryset(self, request: HttpRequest) -> QuerySet[SocialAccount]:
        return super().get_queryset(request).defer(*SECRETS)

    def get_readonly_fields(self, request: HttpRequest, obj: SocialAccount | None = None) -> list[str]:
        fields = [field for _, options in self.fieldsets for field in options["fields"]]
        names = [name for field in fields for name in (field if isinstance(field, tuple) else (field,))]
        return [name for name in names if name not in self.editable]

    def find(self, queryset: QuerySet[Any], term: str) -> QuerySet[Any]:
        if (pk := as_uuid(term)) is not None:
            return queryset.filter(pk=pk)
        named = Q(username__icontains=term) | Q(display_name__icontains=term)
        return queryset.filter(named | Q(network_unique_id=term) | Q(tenant_id=term))

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # accounts are connected with tokens, through the API

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Not of a deleted account."""
        deleted = isinstance(obj, SocialAccount) and obj.deleted_at is not None
        return not deleted and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: SocialAccount | None = None) -> bool:
        return False

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> Any:
        """No buttons on the page of a deleted account: none of them would do anything."""
        alive = SocialAccount.objects.filter(pk=as_uuid(str(object_id)), deleted_at=None)
        return super().get_actions_detail(request, object_id) if alive.exists() else []

    def save_model(self, request: HttpRequest, obj: SocialAccount, form: forms.ModelForm, change: bool) -> None:
        """Only what was changed: tokens may have been renewed since the form was shown."""
        connections.update(obj, {name: form.cleaned_data[name] for name in form.changed_data})

    @display(description="status", label=STATUS_COLOURS)
    def status_label(self, account: SocialAccount) -> str:
        if account.deleted_at is not None:
            return "deleted"
        return Status(account.status).label.lower()

    # --- probing -------------------------------------------------------------

    @admin.action(description="Probe health", permissions=["change"])
    def probe_selected(self, request: HttpRequest, queryset: QuerySet[SocialAccount]) -> HttpResponse:
        return self._probe(request, queryset, None)

    @action(description="Probe health", url_path="probe", permissions=["change"], icon="stethoscope")
    def probe(self, request: HttpRequest, object_id: str) -> HttpResponse:
        account = self.one(request, object_id)
        if request.method != "POST":
            text = "The platform is asked now, with a fresh token. What it answers is noted on the account."
            return self.confirm(request, account, title="Probe health?", text=text, button="Probe")
        return self._probe(request, SocialAccount.objects.filter(pk=account.pk), account)

    def _probe(self, request: HttpRequest, chosen: QuerySet[SocialAccount], row: SocialAccount | None) -> HttpResponse:
        began = time.monotonic()
        accounts = list(chosen.defer(None))  # tokens and all: what is refused must be what was read
        found = health.check_all(accounts, since=began, deadline=began + PROBE_SECONDS)
        took = time.monotonic() - began
        for account in accounts:
            self.log_change(request, account, "Probed.")
        return self.page(request, row, "admin/accounts/probe.html", title="Health", found=found, took=took)

    # --- disabling -----------------------------------------------------------

    @admin.action(description="Disable", permissions=["change"])
    def disable_selected(self, request: HttpRequest, queryset: QuerySet[SocialAccount]) -> None:
        disabled = [account for account in queryset if self._disable(request, account)]
        messages.success(request, f"Disabled: {', '.join(map(str, disabled)) or 'none'}.")

    @action(description="Disable", url_path="disable", permissions=["change"], icon="block")
    def disable(self, request: HttpRequest, object_id: str) -> HttpResponse:
        account = self.one(request, object_id)
        if account.deleted_at is not None:
            messages.warning(request, "The account is deleted.")
        elif request.method != "POST":
            text = "Its platform is not called any more. What was collected stays, and is served."
            return self.confirm(request, account, title="Disable this account?", text=text, button="Disable")
        else:
            done = self._disable(request, account)
            messages.success(request, f"{account} is disabled." if done else f"{account} was disabled.")
        return self.back_to(account)

    def _disable(self, request: HttpRequest, account: SocialAccount) -> bool:
        with transaction.atomic():
            disabled = connections.disable(account)
            if disabled:
                self.log_change(request, account, "Disabled.")
        return disabled

    @action(description="Enable", url_path="enable", permissions=["change"], icon="check_circle")
    def enable(self, request: HttpRequest, object_id: str) -> HttpResponse:
        account = self.one(request, object_id)
        if account.status != Status.DISABLED or account.deleted_at is not None:
            messages.warning(request, "Only a disabled account can be enabled; a dead token needs a new one.")
        elif request.method != "POST":
            text = "It is again what it was before, and its platform is called with the tokens that are stored."
            return self.confirm(request, account, title="Enable this account?", text=text, button="Enable")
        else:
            with transaction.atomic():
                account = connections.update(account, {"status": Status.ACTIVE})
                self.log_change(request, account, "Enabled.")
            said = f"{account} is {self.status_label(account)}"
            if account.status == Status.ACTIVE:
                messages.success(request, f"{said}.")
            else:
                messages.warning(request, f"{said}, as it was before; only new tokens cure that.")
        return self.back_to(account)


class NetworkForm(forms.ModelForm):
    """Takes what the API takes. The secret goes in and never comes out."""

    new_secret = forms.CharField(
        label="Client secret",
        required=False,
        strip=True,
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"}),
        help_text="Stored encrypted and never shown. Empty: the one that is stored stays.",
    )

    class Meta:
        model = SocialNetwork
        fields = (
            "organization",
            "mode",
            "platform",
            "display_name",
            "client_id",
            "redirect_uri",
            "scopes",
            "extra_config",
            "is_enabled",
        )

    def clean(self) -> dict[str, Any]:
        """By the rules of the API. A field that is emptied has its default."""
        cleaned = super().clean()
        for name, default in {"scopes": [], "extra_config": {}}.items():
            cleaned[name] = default if cleaned.get(name) is None else cleaned[name]
        identity = {name: self._given_once(name) for name in ("organization", "mode", "platform")}
        body = {name: cleaned[name] for name in SocialNetworkUpsert().fields if name in cleaned}
        secret = {"client_secret": cleaned["new_secret"]} if cleaned.get("new_secret") else {}
        given = SocialNetworkUpsert(data={**body, **secret, "platform": identity["platform"]})
        if not given.is_valid():
            self._refuse(given.errors)
            return cleaned
        try:
            networks.require_secret(identity, given.validated_data)
        except networks.SecretMissing as error:
            self.add_error("new_secret", str(error))
        return cleaned | {name: given.validated_data[name] for name in body}

    def _given_once(self, name: str) -> Any:
        return self.cleaned_data.get(name) if self.instance._state.adding else getattr(self.instance, name)

    def _refuse(self, errors: Any) -> None:
        """Say what the API would, at the fields that are shown, unless they were refused for themselves."""
        refused = set(self.errors)
        for error in flatten(errors):
            name, _, inner = error["field"].partition(".")
            name = "new_secret" if name == "client_secret" else name
            if name not in refused:
                text = f"{inner}: {error['message']}" if inner else error["message"]
                self.add_error(name if name in self.fields else None, text)

    def save(self, commit: bool = True) -> SocialNetwork:
        if self.cleaned_data["new_secret"]:
            self.instance.client_secret = crypto.encrypt(self.cleaned_data["new_secret"])
        return super().save(commit)


@admin.register(SocialNetwork)
class SocialNetworkAdmin(Admin):
    form = NetworkForm
    list_display = (
        "__str__",
        "organization_link",
        "display_name",
        "client_id",
        "has_secret",
        "is_enabled",
        "updated_at",
    )
    list_select_related = ("organization",)
    list_filter = ("platform", "mode", "is_enabled", ("organization", AutocompleteSelectFilter))
    sortable_by = ("updated_at",)
    search_fields = ("client_id",)
    search_help_text = "Exact client id, or id of the app or its organization"
    autocomplete_fields = ("organization",)
    fields = (
        ("organization", "mode"),
        ("platform", "display_name"),
        ("client_id", "is_enabled"),
        ("new_secret", "has_secret"),
        "redirect_uri",
        ("scopes", "extra_config"),
        ("created_at", "updated_at"),
    )
    readonly_fields = ("has_secret", "created_at", "updated_at")
    organization_link = link_to("organization")

    def get_readonly_fields(self, request: HttpRequest, obj: SocialNetwork | None = None) -> tuple[str, ...]:
        return self.readonly_fields if obj is None else (*self.readonly_fields, "organization", "mode", "platform")

    def find(self, queryset: QuerySet[Any], term: str) -> QuerySet[Any]:
        if (pk := as_uuid(term)) is not None:
            return queryset.filter(Q(pk=pk) | Q(organization_id=pk))
        return queryset.filter(client_id=term)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Consents go along with the app they were begun by, though nobody may delete them by themselves."""
        rows, numbers, forbidden, protected = super().get_deleted_objects(objs, request)
        return rows, numbers, forbidden - {ConnectSession._meta.verbose_name}, protected

    def save_model(self, request: HttpRequest, obj: SocialNetwork, form: forms.ModelForm, change: bool) -> None:
        """Only what was changed: a key rotation may have rewritten the secret since the form was shown."""
        if not change:
            obj.save()
            return
        changed = {"client_secret" if name == "new_secret" else name for name in form.changed_data}
        obj.save(update_fields=[*changed, "updated_at"])

    @display(description="secret stored", boolean=True)
    def has_secret(self, network: SocialNetwork) -> bool:
        return bool(network.client_secret)

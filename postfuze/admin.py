"""What all admin pages have in common."""

import logging
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.utils import quote, unquote
from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.paginator import Paginator
from django.db import DataError, connections
from django.db.models import Model, Prefetch, QuerySet
from django.forms import Form
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.functional import cached_property
from django.utils.html import format_html
from django.utils.module_loading import import_string
from django.views.defaults import bad_request
from unfold.admin import ModelAdmin
from unfold.contrib.filters.admin import RangeDateFilter
from unfold.views import ChangeList

logger = logging.getLogger(__name__)

admin.site.site_title = admin.site.site_header = admin.site.index_title = "PostFuze Analytics"

REACHABLE = 10_000
"""How many rows of a list can be paged to; what lies deeper is found by filters."""


class ForgedInputMiddleware:
    """Answers 400 where the admin stumbles over what none of its pages sends, such as ids that are none."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if not isinstance(error, ValidationError | DataError) or "admin" not in request.resolver_match.app_names:
            return None
        logger.warning("refused %s %s: %s", request.method, request.path_info, type(error).__name__)
        return bad_request(request, error)


class BoundedPaginator(Paginator):
    """Never counts a whole table: the database's own estimate for all rows, at most `REACHABLE` of a selection."""

    template_name = "admin/pagination_bounded.html"
    bound = REACHABLE

    @cached_property
    def count(self) -> int:
        return max(self.estimate, self.counted)

    @cached_property
    def counted(self) -> int:
        """Exact up to the bound; the bound and one if there are more."""
        return self.object_list.order_by()[: self.bound + 1].count()

    @cached_property
    def estimate(self) -> int:
        """Rows of the table as of its last ANALYZE; 0 where there is no estimate, or only a selection is shown."""
        connection = connections[self.object_list.db]
        if self.object_list.query.where or connection.vendor != "postgresql":
            return 0
        with connection.cursor() as cursor:
            table = connection.ops.quote_name(self.object_list.model._meta.db_table)
            cursor.execute("SELECT reltuples::bigint FROM pg_class WHERE oid = %s::regclass", [table])
            estimate: int = cursor.fetchone()[0]
        return estimate if estimate > self.bound else 0

    @cached_property
    def num_pages(self) -> int:
        return max(1, -(-min(self.count, self.bound) // self.per_page))

    @property
    def is_cut(self) -> bool:
        """Whether there are more rows than pages lead to."""
        return self.count > self.bound

    @property
    def label(self) -> str:
        """How many rows there are, as far as it is known."""
        if self.estimate and self.is_cut:
            return f"about {self.estimate:,}"
        return f"more than {self.bound:,}" if self.is_cut else f"{self.count:,}"


class DaysFilter(RangeDateFilter):
    """Rows of an instant from a day to a day, both included, in UTC."""

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        first, last = (self._day(f"{self.parameter_name}_{end}") for end in ("from", "to"))
        if first is not None:
            queryset = queryset.filter(**{f"{self.parameter_name}__gte": first})
        if last is not None:
            queryset = queryset.filter(**{f"{self.parameter_name}__lt": last + timedelta(days=1)})
        return queryset

    def _day(self, name: str) -> datetime | None:
        text = str(self.used_parameters.get(name) or "").strip()
        if not text:
            return None
        try:
            day = date.fromisoformat(text)
        except ValueError as error:
            raise IncorrectLookupParameters from error
        if not 1970 <= day.year <= 2100:
            raise IncorrectLookupParameters
        return datetime.combine(day, time(), UTC)


class BoundedChangeList(ChangeList):
    """Reads what rows refer to for the rows of the page only: a join would be made for all that are skipped, too."""

    def get_queryset(self, request: HttpRequest, *args: Any, **kwargs: Any) -> QuerySet[Any]:
        return super().get_queryset(request, *args, **kwargs).prefetch_related(*self.model_admin.list_prefetch)

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.full_result_count = self.result_count  # nobody counted more; the header is not to offer it


class Admin(ModelAdmin):
    paginator = BoundedPaginator
    show_full_result_count = False  # no count of a whole table
    show_facets = admin.ShowFacets.NEVER  # nor one for each filter
    list_per_page = 50
    list_max_show_all = 0
    list_disable_select_all = True  # an action is about rows that were seen
    list_filter_submit = True
    list_prefetch: tuple[str | Prefetch, ...] = ()

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return BoundedChangeList

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest | None = None) -> bool:
        """By filters only: whoever asks how a column begins, letter by letter, learns it, and be it a secret."""
        for each in self.get_list_filter(request):
            name = each[0] if isinstance(each, list | tuple) else getattr(each, "parameter_name", each)
            if lookup == name or lookup.startswith((f"{name}__", f"{name}_from", f"{name}_to")):
                return bool(super().lookup_allowed(lookup, value, request))
        return False

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        found = self.find(queryset, term)
        return super().get_search_results(request, queryset, term) if found is None else (found, False)

    def find(self, queryset: QuerySet[Any], term: str) -> QuerySet[Any] | None:
        """What a search means, where it is not a part of any of `search_fields`."""
        return None

    def response_action(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        """What an action is run on is looked at first: one of Django's fields stumbles over a text that is no id."""
        for given in request.POST.getlist(ACTION_CHECKBOX_NAME):
            self.opts.pk.clean(given, None)
        return super().response_action(request, queryset)

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        self.audit(request, obj, "add", message)
        return super().log_addition(request, obj, message)

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        self.audit(request, obj, "change", message)
        return super().log_change(request, obj, message)

    def log_deletions(self, request: HttpRequest, queryset: Any) -> Any:
        for row in queryset:
            self.audit(request, row, "delete", "")
        return super().log_deletions(request, queryset)

    def audit(self, request: HttpRequest, row: Model, verb: str, message: Any) -> None:
        """Whatever staff changed is told to the audit; an action of one's own tells by `log_change`."""
        import_string(settings.ADMIN_AUDIT)(request, row, verb, message)

    def one(self, request: HttpRequest, object_id: str) -> Any:
        """The row that a button was pressed for; 404 if there is none, 403 if it must not be seen."""
        row = self.get_object(request, unquote(object_id))
        if row is None:
            raise Http404
        if not self.has_view_permission(request, row):
            raise PermissionDenied
        return row

    def confirm(
        self, request: HttpRequest, row: Model, *, title: str, text: str, button: str, form: Form | None = None
    ) -> TemplateResponse:
        """The page that asks before a button's work is done: links change nothing, forms do."""
        context = {"text": text, "button": button, "form": form}
        return self.page(request, row, "admin/confirm.html", title=title, **context)

    def page(self, request: HttpRequest, row: Model | None, template: str, **context: Any) -> TemplateResponse:
        """A page about a row, or about some, in the frame of the admin."""
        frame = self.admin_site.each_context(request) | {"opts": self.opts, "back": self.url_of(row)}
        return TemplateResponse(request, template, frame | {"original": row} | context)

    def url_of(self, row: Model | None) -> str:
        """The address of a row, or of the list."""
        return list_url(self.model) if row is None else row_url(row)

    def back_to(self, row: Model | None) -> HttpResponseRedirect:
        return HttpResponseRedirect(self.url_of(row))


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


def password_change(request: HttpRequest) -> HttpResponse:
    """Django's page, which tells nobody."""
    answer = admin.site.password_change(request)
    if request.method == "POST" and answer.status_code == 302:
        admin.site.get_model_admin(get_user_model()).log_change(request, request.user, "Changed their own password.")
    return answer


def list_url(model: type[Model] | str, **query: object) -> str:
    """The address of a model's list, with a query."""
    label = model if isinstance(model, str) else model._meta.label_lower
    url = reverse(f"admin:{label.replace('.', '_')}_changelist")
    return f"{url}?{urlencode(query)}" if query else url


def row_url(row: Model) -> str:
    """The address of a row's page."""
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=(quote(row.pk),))


def link(url: str, text: object) -> str:
    """A link whose text breaks rather than overlap what is beside it."""
    look = "text-primary-600 dark:text-primary-500"
    return format_html('<a class="{}" style="overflow-wrap: anywhere" href="{}">{}</a>', look, url, text)


def short(text: str, length: int = 24) -> str:
    """The end of a long text, where ids differ."""
    return text if len(text) <= length else f"…{text[1 - length :]}"


def link_to(name: str, description: str = "", text: Callable[[Any], str] = str) -> Callable[[Any, Any], str | None]:
    """A method that links to the row which a foreign key names; `name` may follow several."""

    @admin.display(description=description or name.rpartition("__")[2].replace("_", " "))
    def column(page: Any, row: Any) -> str | None:
        for part in name.split("__"):
            row = getattr(row, part)
            if row is None:
                return None
        return link(row_url(row), text(row))

    column.__name__ = name
    return column


def number(name: str) -> Callable[[Model], str | None]:
    """A column of a count, in groups of three digits."""

    @admin.display(description=name.replace("_", " "))
    def column(row: Model) -> str | None:
        value = getattr(row, name)
        return None if value is None else f"{value:,}"

    column.__name__ = name
    return column

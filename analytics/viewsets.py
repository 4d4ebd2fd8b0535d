"""The API of posts and of what they and their accounts achieved."""

import re
import time
from collections.abc import Callable
from contextlib import nullcontext, suppress
from typing import Any, TypeVar
from uuid import UUID

from django.core.exceptions import ObjectDoesNotExist
from django.db.models import QuerySet
from django.http import Http404
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import mixins
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import ValidationError

from accounts import selectors as account_selectors
from accounts.models import SocialAccount
from analytics import answers, ranges, selectors, tasks
from analytics.filters import PostFilter
from analytics.models import ImportJob, ImportSchedule, Post, Target
from analytics.rows import ACCOUNT_COLUMNS, ROW_COLUMNS
from analytics.serializers import (
    AccountMetricsSerializer,
    AnalyticsSerializer,
    HistorySerializer,
    ImportCreate,
    ImportJobSerializer,
    ImportScheduleSerializer,
    PostCreate,
    PostPatch,
    PostSerializer,
    ReferenceField,
    TargetPatch,
    TargetSerializer,
    normalized_post_id,
)
from analytics.services import imports, live, posts
from postfuze.api import params
from postfuze.api.problems import Problem, invalid
from postfuze.api.viewsets import OrganizationViewSet

T = TypeVar("T")
_KEY = re.compile(r"[\x20-\x7e]{1,255}")
IDEMPOTENCY_KEY = OpenApiParameter("Idempotency-Key", str, OpenApiParameter.HEADER)


class _TimedViewSet(OrganizationViewSet):
    """Knows when its request began: calls that end after that began at the same time."""

    def initialize_request(self, request: Any, *args: Any, **kwargs: Any) -> Request:
        self.since = time.monotonic()
        return super().initialize_request(request, *args, **kwargs)

    def ask(self, request: Request) -> live.Ask:
        deadline = self.since + params.deadline_ms(request) / 1000
        return live.Ask(since=self.since, deadline=deadline, max_age=params.max_age(request))


class PostViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, _TimedViewSet):
    """Posts and their analytics."""

    queryset = Post.objects.none()
    serializer_class = PostSerializer
    filterset_class = PostFilter
    write_scope = "posts:write"
    throttle_bucket = "posts"

    def get_queryset(self) -> QuerySet[Post]:
        if getattr(self, "swagger_fake_view", False):
            return Post.objects.none()
        return selectors.posts(self.organization_id, self.mode)

    def _post(self) -> Post:
        return get_object_or_404(self.get_queryset().prefetch_related(None), pk=self.kwargs["id"])

    @extend_schema(
        request=PostCreate, responses={201: PostSerializer, 200: PostSerializer}, parameters=[IDEMPOTENCY_KEY]
    )
    def create(self, request: Request) -> Response:
        """Register a post; a repeated external_ref or Idempotency-Key answers the first one (200)."""
        identity = self._identity(request)
        repeated = _or_problem(lambda: posts.find_repeated(identity))
        if repeated is not None:
            with suppress(Http404):  # deleted in the meantime, which frees its name
                return self._answer(repeated)
        given = PostCreate(data=request.data)
        given.is_valid(raise_exception=True)
        data = given.validated_data
        try:
            accounts = posts.accounts_of(identity, data["targets"])
        except posts.UnknownAccount as error:
            named = [{"field": f"targets.{error.index}.account_id", "message": str(error)}]
            raise Problem("unknown_account", str(error), errors=named) from error
        _normalize(data["targets"], accounts)
        while True:
            post, is_new = _or_problem(lambda: posts.create(identity, data, accounts))
            with nullcontext() if is_new else suppress(Http404):
                return self._answer(post, status=201 if is_new else 200)

    def _identity(self, request: Request) -> posts.Identity:
        key = request.headers.get("Idempotency-Key")
        if key is not None and not _KEY.fullmatch(key):
            raise invalid("Idempotency-Key", "Expected 1 to 255 printable ASCII characters.")
        try:
            reference = ReferenceField().run_validation(request.data.get("external_ref"))
        except ValidationError:
            reference = None  # it names no post, and is refused with the rest of the body
        return posts.Identity(self.organization_id, self.mode, reference, key)

    def _answer(self, post: Post, *, status: int = 200) -> Response:
        return Response(PostSerializer(get_object_or_404(self.get_queryset(), pk=post.pk)).data, status=status)

    @extend_schema(request=PostPatch, responses=PostSerializer)
    def partial_update(self, request: Request, id: Any) -> Response:
        """Change a post's content, reference or schedule."""
        post = self._post()
        given = PostPatch(data=request.data)
        given.is_valid(raise_exception=True)
        return self._answer(_or_problem(lambda: posts.update(post, given.validated_data)))

    @extend_schema(request=None, responses={204: None})
    def destroy(self, request: Request, id: Any) -> Response:
        """Delete a post: gone from every read, its snapshots kept."""
        posts.delete(self._post())
        return Response(status=204)

    @extend_schema(request=TargetPatch, responses=TargetSerializer)
    @action(detail=True, methods=["patch"], url_path="targets/(?P<target_id>[^/]+)")
    def targets(self, request: Request, id: Any, target_id: Any) -> Response:
        """Set what a publisher learned later: the platform's post id, its URL, when it went out, or that it failed."""
        target = get_object_or_404(
            Target.objects.select_related("account"), pk=self.kwargs["target_id"], post=self._post()
        )
        given = TargetPatch(data=request.data, context={"target": target})
        given.is_valid(raise_exception=True)
        return Response(TargetSerializer(_or_problem(lambda: posts.update_target(target, given.validated_data))).data)

    @extend_schema(parameters=[params.MAX_AGE, params.DEADLINE_MS], responses=AnalyticsSerializer)
    @action(detail=True, methods=["get"], filterset_class=None, pagination_class=None)
    def analytics(self, request: Request, id: Any) -> Response:
        """The newest numbers of a post on every account, pulled live."""
        ask = self.ask(request)
        post_id = self.kwargs["id"]
        if ask.max_age:
            targets, stored = selectors.stored_targets(post_id, self.organization_id, self.mode)
        else:
            targets, stored = selectors.published_targets(post_id, self.organization_id, self.mode), {}
        if not targets:
            self._post()
            raise Problem("post_not_published")
        return Response(answers.post_analytics(post_id, live.read_targets(targets, ask, stored)))

    @extend_schema(parameters=[*ranges.PARAMETERS, OpenApiParameter("target_id", UUID)], responses=HistorySerializer)
    @action(detail=True, methods=["get"], url_path="analytics/history", filterset_class=None, pagination_class=None)
    def history(self, request: Request, id: Any) -> Response:
        """The stored series of a post's targets."""
        wanted = ranges.parse(request)
        target_id = ranges.uuid_parameter(request, "target_id")
        post = self._post()
        paginator = ranges.PostSeriesPagination()
        walk = wanted.as_of(paginator.begin(request, self))
        rows = selectors.post_series(
            post, target_id=target_id, since=walk.since, until=walk.until, interval=walk.interval
        )
        page = paginator.paginate_queryset(rows.values(*ROW_COLUMNS), request, self)
        return Response(answers.post_history(post, wanted, page, paginator.next_cursor))


class AccountMetricsViewSet(_TimedViewSet):
    """What an account achieved."""

    queryset = SocialAccount.objects.none()
    serializer_class = AccountMetricsSerializer
    pagination_class = None
    filter_backends = ()

    @extend_schema(
        parameters=[
            *ranges.PARAMETERS,
            OpenApiParameter("include", str, enum=["raw"], description="With a range: add the raw payloads."),
            params.MAX_AGE,
            params.DEADLINE_MS,
        ],
        responses=AccountMetricsSerializer,
    )
    def retrieve(self, request: Request, id: Any) -> Response:
        """The account's newest numbers, pulled live; with since or until the stored series."""
        wanted = ranges.parse(request)
        with_raw = ranges.includes_raw(request)
        paginator = ranges.AccountSeriesPagination()
        paginator.limit(request)  # refused if malformed, also where there is no series
        ask = self.ask(request)
        accounts = account_selectors.social_accounts(self.organization_id, self.mode)
        account = get_object_or_404(accounts, pk=self.kwargs["id"])
        if not wanted.is_bounded:
            return Response(answers.account_metrics(live.read_account(account, ask)))
        walk = wanted.as_of(paginator.begin(request, self))
        rows = selectors.account_series(account, since=walk.since, until=walk.until, interval=walk.interval)
        columns = (*ACCOUNT_COLUMNS, "raw") if with_raw else ACCOUNT_COLUMNS
        page = paginator.paginate_queryset(rows.values(*columns), request, self)
        return Response(answers.account_series(account, wanted, page, paginator.next_cursor, with_raw=with_raw))


class ImportViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, OrganizationViewSet):
    """Bringing in what an account published already."""

    queryset = ImportJob.objects.none()
    serializer_class = ImportJobSerializer
    filter_backends = ()
    lookup_url_kwarg = "import_id"
    write_scope = "accounts:write"
    throttle_bucket = "social_accounts"

    def get_queryset(self) -> QuerySet[ImportJob]:
        if getattr(self, "swagger_fake_view", False):
            return ImportJob.objects.none()
        return ImportJob.objects.filter(account=self._account())

    def _account(self) -> SocialAccount:
        accounts = account_selectors.social_accounts(self.organization_id, self.mode)
        return get_object_or_404(accounts, pk=self.kwargs["id"])

    @extend_schema(request=ImportCreate, responses={202: ImportJobSerializer})
    def create(self, request: Request, id: Any) -> Response:
        """Import the account's published posts in the background, the newest first."""
        account = self._account()
        given = ImportCreate(data=request.data)
        given.is_valid(raise_exception=True)
        job = _or_unsupported(lambda: imports.start(account, **given.validated_data))
        tasks.wake_importers()
        return Response(ImportJobSerializer(job).data, status=202)

    @extend_schema(responses=ImportScheduleSerializer)
    def schedule(self, request: Request, id: Any) -> Response:
        """Whether the account's new posts are imported every hour."""
        return Response(_schedule(ImportSchedule.objects.filter(account=self._account()).first()))

    @extend_schema(request=ImportScheduleSerializer, responses=ImportScheduleSerializer)
    def set_schedule(self, request: Request, id: Any) -> Response:
        """Import the account's new posts every hour from now on, or no longer."""
        account = self._account()
        given = ImportScheduleSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        made = _or_unsupported(lambda: imports.schedule(account, hourly=given.validated_data["hourly"]))
        return Response(_schedule(made))


def _schedule(made: ImportSchedule | None) -> dict[str, Any]:
    return ImportScheduleSerializer({"hourly": made is not None, "next_at": made and made.next_at}).data


def _or_unsupported(work: Callable[[], T]) -> T:
    try:
        return work()
    except imports.Unsupported as error:
        raise Problem("import_unsupported", str(error)) from error


def _or_problem(work: Callable[[], T]) -> T:
    """What a service answers; its refusals as problems."""
    try:
        return work()
    except posts.Conflict as error:
        raise Problem("conflict", str(error)) from error
    except ObjectDoesNotExist as error:  # deleted by another request in the meantime
        raise Problem("not_found") from error


def _normalize(targets: list[dict[str, Any]], accounts: dict[UUID, SocialAccount]) -> None:
    """Canonical platform post ids, in place; a 400 that names each that has none."""
    errors: list[dict[str, Any]] = [{} for _ in targets]
    for index, target in enumerate(targets):
        if target.get("platform_post_id"):
            try:
                target["platform_post_id"] = normalized_post_id(
                    target["platform_post_id"], accounts[target["account_id"]]
                )
            except ValidationError as error:
                errors[index] = {"platform_post_id": error.detail}
    if any(errors):
        raise ValidationError({"targets": errors})

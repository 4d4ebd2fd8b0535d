import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.admin.utils import quote
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from accounts.models import (
    AuditEntry,
    ConnectSession,
    Flight,
    Gate,
    SocialAccount,
    Status,
    WebhookDelivery,
    WebhookEvent,
    WebhookMark,
)
from accounts.services import gates
from accounts.services.events import emit_account_event
from accounts.tests.factories import (
    SECRET,
    ConnectSessionFactory,
    SocialAccountFactory,
    SocialNetworkFactory,
    WebhookEndpointFactory,
    make_key,
)
from analytics.models import AccountMetrics, Heartbeat, Post, PostAnalytics, Target
from analytics.services import collect
from analytics.tests.factories import AccountMetricsFactory, PostAnalyticsFactory, PostFactory, TargetFactory
from postfuze.admin import BoundedPaginator

pytestmark = pytest.mark.django_db

OURS = [model for label in ("accounts", "analytics") for model in apps.get_app_config(label).get_models()]
MODELS = sorted(admin.site._registry, key=lambda model: model._meta.label)
SECRETS = {"access": "the-access-token", "refresh": "the-refresh-token"}


@pytest.fixture
def staff(client: Any) -> Any:
    """A browser in which a superuser is signed in."""
    client.force_login(User.objects.create_superuser("root"))
    return client


def listing(model: Any) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")


def page(row: Any, action: str = "change") -> str:
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_{action}", args=(quote(row.pk),))


def run(client: Any, model: Any, action: str, *rows: Any) -> Any:
    """Run an action on ticked rows."""
    ticked = {"action": action, "_selected_action": [str(row.pk) for row in rows]}
    return client.post(listing(model), ticked, follow=True)


def found(client: Any, model: Any, **query: Any) -> list[Any]:
    return list(client.get(listing(model), query).context["cl"].result_list)


def a_row_of_each(number: int = 1) -> list[str]:
    """Rows of every model; returns the secrets that are in them."""
    hidden = list(SECRETS.values())
    for _ in range(number):
        account = SocialAccountFactory(**SECRETS, last_error_code="rate_limited", last_error_detail="Wait.")
        post = PostFactory(organization=account.organization, external_ref=f"ref-{uuid.uuid4()}")
        target = TargetFactory(post=post, account=account)
        PostAnalyticsFactory.create_batch(2, target=target)
        AccountMetricsFactory.create_batch(2, account=account)
        network = SocialNetworkFactory(organization=account.organization, secret="the-client-secret")
        consent = ConnectSessionFactory(social_network=network, verifier="a-verifier", payload="a-payload")
        ConnectSession.objects.filter(pk=consent.pk).update(token_hash=f"hash-{consent.pk}")
        hidden += ["a-verifier", "a-payload", f"hash-{consent.pk}"]
        key, text = make_key(account.organization)
        emit_account_event(account, "account.connected", reason="asked for")
        gates.close("x", f"x:app:{network.pk}:tweets", timezone.now() + timedelta(hours=1), "rate_limited")
        Flight.objects.create(
            key=f"probe:{account.pk}", holder=account.pk, in_flight_until=timezone.now(), outcome={"code": "post_gone"}
        )
        collect.beat(f"collect-{account.pk}"[:60])
        endpoint = WebhookEndpointFactory(organization=account.organization)
        WebhookDelivery.objects.create(endpoint=endpoint, event=WebhookEvent.objects.latest("created_at"))
        WebhookMark.objects.create(organization=account.organization, mode="test", snapshot_ids=[1, 2])
        hidden += [endpoint.secret, SECRET]
        user = User.objects.create_user(f"user-{account.pk}")
        AuditEntry.objects.create(organization=account.organization, actor_kind="key", object_id=str(account.pk))
        LogEntry.objects.log_actions(user.pk, [account], 2, "Disabled.", single_object=True)
        hidden += [account.access_token, account.refresh_token, network.client_secret, "the-client-secret"]
        hidden += [key.secret_hash, text, text[-43:]]
    return hidden


# --- every page --------------------------------------------------------------


@pytest.mark.parametrize("model", OURS, ids=lambda model: model._meta.label)
def test_every_model_is_registered(model: Any) -> None:
    assert admin.site.is_registered(model)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)
def test_no_page_of_any_model_shows_a_secret(staff: Any, model: Any) -> None:
    hidden = a_row_of_each()
    row = model._default_manager.first()
    addresses = [listing(model), f"{listing(model)}?q=abc", f"{listing(model)}?q={uuid.uuid4()}"]
    if row is not None:
        addresses += [page(row), f"{listing(model)}?q={row.pk}"]
    for address in addresses:
        answer = staff.get(address)
        assert answer.status_code == 200, address
        content = answer.content.decode()
        assert not [secret for secret in hidden if secret in content]


def test_no_page_that_asks_first_shows_a_secret(staff: Any) -> None:
    hidden = a_row_of_each()
    account, target, post = SocialAccount.objects.get(), Target.objects.get(), Post.objects.get()
    buttons = [(account, name) for name in ("probe", "disable", "collect_now")]
    buttons += [(target, "collect_now"), (post, "collect_now"), (account.organization, "create_key")]
    for row, button in buttons:
        content = staff.get(page(row, button)).content.decode()
        assert not [secret for secret in hidden if secret in content]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)
def test_a_list_takes_as_many_queries_however_long_it_is(staff: Any, model: Any) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert staff.get(listing(model)).status_code == 200
        return len(captured)

    a_row_of_each()
    queries()  # fills caches
    few = queries()
    a_row_of_each(4)
    assert queries() == few <= 7


@pytest.mark.parametrize("model", [Post, Target, PostAnalytics, AccountMetrics, SocialAccount])
def test_lists_read_neither_secrets_nor_raw_payloads_nor_count_everything(staff: Any, model: Any) -> None:
    a_row_of_each()
    with CaptureQueriesContext(connection) as captured:
        staff.get(listing(model), {"q": "abc"})
        staff.get(listing(model))
    for query in captured.captured_queries:
        for name in ("access_token", "refresh_token", '"raw"', "client_secret"):
            assert name not in query["sql"]
        if "COUNT" in query["sql"]:
            assert f"LIMIT {BoundedPaginator.bound + 1}" in query["sql"]


# --- snapshots ---------------------------------------------------------------


@pytest.fixture
def history() -> list[PostAnalytics]:
    """Three snapshots of one target, the newest first, beside those of others."""
    post = PostFactory(external_ref="launch")
    target = TargetFactory(post=post, platform_post_id="1700000000000000042")
    PostAnalyticsFactory.create_batch(2)
    at = datetime(2026, 6, 10, 23, 30, tzinfo=UTC)
    return [PostAnalyticsFactory(target=target, captured_at=at - timedelta(hours=n), likes=30 - n) for n in range(3)]


@pytest.mark.parametrize(
    "named",
    [
        lambda row: row.target_id,
        lambda row: row.target.post_id,
        lambda row: row.account_id,
        lambda row: row.target.platform_post_id,
        lambda row: row.target.post.external_ref,
        lambda row: row.account.network_unique_id,
    ],
    ids=["target", "post", "account", "platform_post_id", "external_ref", "network_unique_id"],
)
def test_the_history_of_what_an_id_means_is_found(staff: Any, history: list[PostAnalytics], named: Any) -> None:
    assert found(staff, PostAnalytics, q=named(history[0])) == history


def test_an_id_of_nothing_finds_nothing(staff: Any, history: list[PostAnalytics]) -> None:
    for term in (uuid.uuid4(), "launc", "17000000000000000", "%"):
        assert found(staff, PostAnalytics, q=term) == []


def test_history_is_filtered_by_platform_and_day(staff: Any, history: list[PostAnalytics]) -> None:
    other = PostAnalyticsFactory(target__platform="bluesky", captured_at=datetime(2026, 6, 11, 0, 0, tzinfo=UTC))
    tenth = {"captured_at_from": "2026-06-10", "captured_at_to": "2026-06-10"}
    assert found(staff, PostAnalytics, **tenth) == history
    assert found(staff, PostAnalytics, platform__exact="bluesky") == [other]
    assert found(staff, PostAnalytics, captured_at_from="2026-06-11", captured_at_to="2026-06-11") == [other]
    assert found(staff, PostAnalytics, platform__exact="bluesky", **tenth) == []


@pytest.mark.parametrize("given", ["yesterday", "2026-13-01", "9999-12-31"])
def test_a_day_that_is_none_is_refused(staff: Any, given: str) -> None:
    assert staff.get(listing(PostAnalytics), {"captured_at_to": given}).headers["Location"].endswith("?e=1")


def test_a_snapshot_says_why_its_numbers_are_what_they_are(staff: Any, history: list[PostAnalytics]) -> None:
    row = history[0]
    PostAnalytics.objects.filter(pk=row.pk).update(
        raw={"post": {"public_metrics": {"like_count": 30}}}, impressions=12480, unavailable={"clicks": "scope_missing"}
    )
    content = staff.get(page(row)).content.decode()
    for told in (
        "12,480",
        "+1",  # likes since the snapshot before
        page(history[1]),
        "post.public_metrics.like_count",
        "X never reports it",  # reach
        "this answer lacked it",  # comments
        "the account&#x27;s grant does not cover it",  # clicks
        "public_metrics",  # raw
    ):
        assert told in content, told


def test_a_first_snapshot_and_one_of_a_platform_no_longer_known_are_shown(staff: Any) -> None:
    row, metrics = PostAnalyticsFactory(), AccountMetricsFactory()
    PostAnalytics.objects.filter(pk=row.pk).update(platform="myspace", raw=None)
    AccountMetrics.objects.filter(pk=metrics.pk).update(platform="myspace", raw=None)
    for each in (row, metrics):
        assert staff.get(page(each)).status_code == 200
        assert staff.get(listing(type(each))).status_code == 200


def test_an_emptied_answer_is_told_from_one_that_is_there(staff: Any, settings: Any) -> None:
    settings.RAW_RETENTION = settings.RAW_RETENTION | {"x": timedelta(days=365)}
    for factory in (PostAnalyticsFactory, AccountMetricsFactory):
        row = factory(raw={"marker": 1})
        assert b"marker" in staff.get(page(row)).content
        type(row).objects.filter(pk=row.pk).update(raw=None)
        content = staff.get(page(row)).content.decode().replace("\xa0", " ")
        assert "Emptied: answers of X are kept for 1 year. The numbers stay." in content
    settings.RAW_RETENTION = dict.fromkeys(settings.RAW_RETENTION)
    assert "Emptied. The numbers stay." in staff.get(page(row)).content.decode()


def test_snapshots_posts_and_targets_can_only_be_looked_at(staff: Any) -> None:
    row, metrics = PostAnalyticsFactory(), AccountMetricsFactory()
    Heartbeat.objects.create(name="collect", at=timezone.now())
    for each in (row, metrics, row.target, row.target.post, Heartbeat.objects.get()):
        before = type(each).objects.filter(pk=each.pk).values().get()
        form = {"likes": 9, "followers": 9, "status": "failed", "content": "x", "targets-TOTAL_FORMS": "0"}
        assert staff.post(page(each), form).status_code == 403
        assert staff.post(page(each, "delete"), {"post": "yes"}).status_code == 403
        assert staff.get(listing(type(each)).rstrip("/") + "/add/").status_code == 403
        assert type(each).objects.filter(pk=each.pk).values().get() == before


def test_pages_lead_to_the_history_of_a_post_a_target_and_an_account(staff: Any, history: list[PostAnalytics]) -> None:
    row = history[0]
    for each in (row.target, row.target.post):
        answer = staff.get(page(each, "snapshots"))
        assert answer.headers["Location"] == f"{listing(PostAnalytics)}?q={each.pk}"
    content = staff.get(page(row.account)).content.decode()
    for model in (PostAnalytics, AccountMetrics, Target):
        assert f"{listing(model)}?q={row.account_id}" in content


def test_a_series_is_drawn_where_there_is_one(staff: Any, history: list[PostAnalytics]) -> None:
    drawn = staff.get(page(history[0].target))
    assert b"<canvas" in drawn.content
    assert "28, 29, 30" in drawn.context["chart"]["data"]
    assert b"<canvas" not in staff.get(page(TargetFactory())).content
    assert b"<canvas" not in staff.get(page(history[0].account)).content
    AccountMetricsFactory.create_batch(2, account=history[0].account)
    assert b"<canvas" in staff.get(page(history[0].account)).content


# --- long lists --------------------------------------------------------------


def test_a_long_list_is_counted_and_paged_up_to_a_bound(staff: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BoundedPaginator, "bound", 100)
    PostAnalyticsFactory.create_batch(120, target=TargetFactory())
    answer = staff.get(listing(PostAnalytics), {"platform__exact": "x"})
    assert answer.context["cl"].paginator.num_pages == 2
    assert b"more than 100" in answer.content
    assert staff.get(listing(PostAnalytics), {"p": 2}).status_code == 200
    assert staff.get(listing(PostAnalytics), {"p": 3}).headers["Location"].endswith("?e=1")


@pytest.mark.postgres
@pytest.mark.skipif(connection.vendor != "postgresql", reason="needs PostgreSQL")
def test_a_whole_table_is_estimated(staff: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BoundedPaginator, "bound", 100)
    PostAnalyticsFactory.create_batch(120, target=TargetFactory())
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE post_analytics")
    assert b"about 120" in staff.get(listing(PostAnalytics)).content
    assert b"more than 100" in staff.get(listing(PostAnalytics), {"platform__exact": "x"}).content


# --- collecting --------------------------------------------------------------


def later() -> datetime:
    return timezone.now() + timedelta(days=1)


def test_collecting_now_asks_first_and_makes_a_gone_target_due(staff: Any) -> None:
    target = TargetFactory(next_collect_at=None, gone_at=timezone.now(), missing_count=3)
    staff.get(page(target, "collect_now"))
    target.refresh_from_db()
    assert target.next_collect_at is None
    answer = staff.post(page(target, "collect_now"), follow=True)
    target.refresh_from_db()
    assert target.next_collect_at <= timezone.now()
    assert (target.gone_at, target.missing_count) == (None, 0)
    assert b"1 target due now" in answer.content


def test_ticked_targets_and_a_posts_targets_are_collected_now(staff: Any) -> None:
    post = PostFactory()
    of_post = [TargetFactory(post=post, next_collect_at=later()) for _ in range(2)]
    ticked, other = TargetFactory(next_collect_at=later()), TargetFactory(next_collect_at=later())
    staff.post(page(post, "collect_now"))
    run(staff, Target, "collect_selected", ticked)
    due = Target.objects.filter(next_collect_at__lt=later() - timedelta(hours=1))
    assert set(due) == {*of_post, ticked}
    run(staff, Post, "collect_selected", other.post)
    assert due.all().count() == 4


def test_what_was_never_published_is_not_collected(staff: Any) -> None:
    target = TargetFactory(status="pending", platform_post_id=None, next_collect_at=None)
    assert b"Nothing to collect" in staff.post(page(target, "collect_now"), follow=True).content


def test_accounts_are_collected_now(staff: Any) -> None:
    one, ticked, other = (SocialAccountFactory(next_collect_at=later()) for _ in range(3))
    staff.get(page(one, "collect_now"))
    staff.post(page(one, "collect_now"))
    run(staff, SocialAccount, "collect_selected", ticked)
    assert set(SocialAccount.objects.filter(next_collect_at__lte=timezone.now())) == {one, ticked}
    assert other.next_collect_at > timezone.now()


def test_who_may_only_look_does_not_collect(client: Any) -> None:
    target = TargetFactory(next_collect_at=later())
    user = User.objects.create_user("some", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    client.force_login(user)
    assert client.get(page(target)).status_code == 200
    assert client.post(page(target, "collect_now")).status_code == 403
    assert client.post(page(target.account, "collect_now")).status_code == 403


def test_targets_are_filtered_by_how_collecting_goes(staff: Any) -> None:
    due = TargetFactory()
    gone = TargetFactory(gone_at=timezone.now(), next_collect_at=None, last_error_code="post_gone")
    missing = TargetFactory(missing_count=2, next_collect_at=later())
    claimed = TargetFactory(claimed_until=later(), next_collect_at=later())
    assert found(staff, Target, state="due") == [due]
    assert found(staff, Target, state="gone") == found(staff, Target, state="never") == [gone]
    assert found(staff, Target, error="any") == found(staff, Target, error="post_gone") == [gone]
    assert found(staff, Target, state="missing") == [missing]
    assert found(staff, Target, state="claimed") == [claimed]
    assert found(staff, Target, account__id__exact=due.account_id) == found(staff, Target, q=due.account_id) == [due]


def test_posts_are_found_by_their_ids(staff: Any, history: list[PostAnalytics]) -> None:
    post = history[0].target.post
    PostFactory(external_ref="other")
    for term in (post.pk, history[0].target_id, "launch", history[0].target.platform_post_id):
        assert found(staff, Post, q=term) == [post]
    assert found(staff, Post, q=uuid.uuid4()) == []


# --- the first page ----------------------------------------------------------


def test_the_first_page_shows_who_needs_help_and_what_is_parked(staff: Any) -> None:
    well = SocialAccountFactory(username="untroubled")
    failing = SocialAccountFactory(username="failing", last_error_code="rate_limited", last_error_at=timezone.now())
    dead = SocialAccountFactory(username="dead", status=Status.TOKEN_EXPIRED)
    SocialAccountFactory(username="off", status=Status.DISABLED, last_error_code="rate_limited")
    SocialAccountFactory(username="left", status=Status.REVOKED, deleted_at=timezone.now())
    gates.close("x", "x:app:1:tweets", later(), "rate_limited")
    gates.close("x", "x:app:1:users", timezone.now(), "rate_limited")
    collect.beat("collect", collect.Summary(targets=7))
    answer = staff.get(reverse("admin:index"))
    assert answer.context["needing_help"] == [failing, dead]
    assert [gate.key for gate in answer.context["gates"]] == ["x:app:1:tweets"]
    content = answer.content.decode()
    assert well.username not in content
    assert "7 targets" in content


def test_the_first_page_shows_whose_refresh_token_ends_within_a_week(staff: Any) -> None:
    SocialAccountFactory(username="untroubled", refresh_expires_at=timezone.now() + timedelta(days=8))
    ending = SocialAccountFactory(username="ending", refresh_expires_at=timezone.now() + timedelta(days=6))
    answer = staff.get(reverse("admin:index"))
    assert answer.context["needing_help"] == [ending]
    assert "refresh token ends" in answer.content.decode()
    until = timezone.now().date() + timedelta(days=7)
    assert found(staff, SocialAccount, refresh_expires_at_to=until) == [ending]


def test_the_first_page_shows_only_what_one_may_see(client: Any) -> None:
    SocialAccountFactory(username="failing", last_error_code="rate_limited")
    gates.close("x", "x:app:1:tweets", later(), "rate_limited")
    client.force_login(User.objects.create_user("some", is_staff=True))
    content = client.get(reverse("admin:index")).content.decode()
    assert "failing" not in content
    assert Gate.objects.get().key not in content


def test_the_first_page_takes_as_many_queries_however_much_is_wrong(
    staff: Any, django_assert_max_num_queries: Any
) -> None:
    a_row_of_each(15)
    with django_assert_max_num_queries(8):
        assert b"All with an error" in staff.get(reverse("admin:index")).content

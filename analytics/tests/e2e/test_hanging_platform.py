"""A platform that hangs, and the workers that others wait for."""

import pytest

from accounts.models import Gate
from analytics.models import PostAnalytics, Target
from analytics.tests.e2e.test_processes import broker, postgres, spawn, start_worker, wait_for, work  # noqa: F401

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True), pytest.mark.timeout(180)]


@postgres
def test_workers_rest_from_a_platform_that_hangs_and_collect_the_others_meanwhile(
    sandbox,
    spawn,  # noqa: F811
    work,  # noqa: F811
    busy,
    tmp_path,
):
    for _ in range(6):  # more lanes than there are processes: in turn they would hang for a minute and a half
        busy("threads", 2, span_days=300)
    sandbox.switch("threads", faults=[{"kind": "hang"}])
    work |= {"COLLECT_TASK_SECONDS": "50", "COLLECT_CLAIM_SECONDS": "60"}
    spawn("celery", "-q", "-A", "postfuze", "beat", "--schedule", str(tmp_path / "schedule"), **work)
    start_worker(spawn, work)
    wait_for(lambda: sandbox.calls("threads") >= 4)  # both processes hang
    busy("tiktok", 3, span_days=300)
    wait_for(lambda: Gate.objects.filter(key="threads:stalled:test:").exists())
    wait_for(lambda: PostAnalytics.objects.count() == 3)
    assert Target.objects.filter(platform="threads", claim=None, last_error_code="").count() == 8, "six lanes less two"
    assert sandbox.calls("threads") == 4

"""The sandbox's LinkedIn, and the adapter that talks to it."""

from typing import Any

import pytest

from platforms import registry
from platforms.base import Account, Reading
from platforms.client import Client as Speaker
from platforms.client import Settings
from platforms.dimensions import AccountDimension, Dimension, Reason
from platforms.errors import (
    Gone,
    MalformedPayload,
    Misconfigured,
    PlatformError,
    RateLimited,
    Rejected,
    ScopeMissing,
    TokenExpired,
    Unavailable,
)
from platforms.hosts import HostMap
from platforms.oauth import App, Credentials
from platforms.tests.sandbox.conftest import Client

MEMBER, PAGE = "urn:li:person:AbC123xyz", "urn:li:organization:123"
REST = "api.linkedin.com/rest/"
HEADERS = {"LinkedIn-Version": "202609", "X-Restli-Protocol-Version": "2.0.0"}
LINKEDIN = registry.get("linkedin")
APP = App(id="app-1", client_id="client", client_secret="client-secret")


@pytest.fixture
def client(client: Client) -> Client:
    client.http.headers.update(HEADERS)
    return client


@pytest.fixture
def member(client: Client) -> dict[str, Any]:
    return client.account("linkedin", MEMBER)


@pytest.fixture
def page(client: Client) -> dict[str, Any]:
    return client.account("linkedin", PAGE)


def get(client: Client, known: dict[str, Any], path: str, **query: str) -> Any:
    return client.get(REST + path, known["access_token"], **query)


def statistics(client: Client, known: dict[str, Any], *urns: str, **more: str) -> Any:
    kinds = {"shares": "urn:li:share:", "ugcPosts": "urn:li:ugcPost:"}
    lists = {name: ",".join(urn for urn in urns if urn.startswith(kind)) for name, kind in kinds.items()}
    query = {name: f"List({text})" for name, text in lists.items() if text} | more
    path = "organizationalEntityShareStatistics"
    return get(client, known, path, q="organizationalEntity", organizationalEntity=PAGE, **query)


def speaker(client: Client, known: dict[str, Any], **more: Any) -> Speaker:
    return Speaker(
        LINKEDIN,
        Account(id="account-1", network_unique_id=known["account_id"]),
        settings=Settings(hosts=HostMap({}, client.running.url)),
        credentials=Credentials(known["access_token"], known["refresh_token"]),
        app=APP,
        **more,
    )


def shares(known: dict[str, Any]) -> list[str]:
    return [urn for urn in known["post_ids"] if "share" in urn]


def videos(known: dict[str, Any]) -> list[str]:
    return [urn for urn in known["post_ids"] if "ugcPost" in urn]


def test_versions_that_are_missing_or_over_are_refused(client: Client, member: dict[str, Any]) -> None:
    client.http.headers["LinkedIn-Version"] = "202511"
    assert get(client, member, "me").json()["code"] == "NONEXISTENT_VERSION"
    assert get(client, member, "me").status_code == 426
    del client.http.headers["LinkedIn-Version"]
    assert get(client, member, "me").json()["code"] == "VERSION_MISSING"


def test_what_is_unknown_to_the_version_is_no_missing_post(client: Client, member: dict[str, Any]) -> None:
    assert get(client, member, "nothing").json()["message"] == "No virtual resource found"
    entity = "(share:urn:li:share:1)"
    query = {"q": "entity", "entity": entity, "queryType": "IMPRESSION"}
    assert get(client, member, "memberCreatorPostAnalytics", **query).json()["message"] == "Could not find entity"


def test_saves_came_with_a_later_version(client: Client, member: dict[str, Any]) -> None:
    urn = shares(member)[0]
    query = {"q": "entity", "entity": f"(share:{urn})", "queryType": "POST_SAVE"}
    (element,) = get(client, member, "memberCreatorPostAnalytics", **query).json()["elements"]
    assert element["metricType"] == "POST_SAVE"
    client.http.headers["LinkedIn-Version"] = "202603"
    assert get(client, member, "memberCreatorPostAnalytics", **query).status_code == 403
    older = get(client, member, "memberCreatorPostAnalytics", **query | {"queryType": "REACTION"}).json()
    assert isinstance(older["elements"][0]["metricType"], dict)


@pytest.mark.parametrize("entity", ["urn:li:share:1", "(ugcPost:urn:li:ugcPost:1)", "(share:urn:li:ugcPost:1)"])
def test_a_post_is_asked_by_a_union(client: Client, member: dict[str, Any], entity: str) -> None:
    query = {"q": "entity", "entity": entity, "queryType": "IMPRESSION"}
    assert get(client, member, "memberCreatorPostAnalytics", **query).status_code == 400


def test_statistics_name_posts_by_kind_and_leave_out_what_has_none(client: Client, page: dict[str, Any]) -> None:
    urns, foreign = page["post_ids"][:20], client.account("linkedin", "urn:li:organization:9")["post_ids"][0]
    client.switch("linkedin", silent=[urns[0]])
    wrong = shares(page)[-1].replace("share", "ugcPost")
    answer = statistics(client, page, *urns, foreign, wrong).json()
    found = [each.get("share") or each.get("ugcPost") for each in answer["elements"]]
    assert set(found) == set(urns[1:])
    assert answer["elements"][0]["totalShareStatistics"]["impressionCount"] > 0


def test_the_old_forms_of_parameters_look_like_a_missing_permission(client: Client, page: dict[str, Any]) -> None:
    refused = statistics(client, page, **{"shares[0]": shares(page)[0]})
    assert refused.status_code == 403
    assert "[/shares[0]]" in refused.json()["message"]
    client.http.headers["X-Restli-Protocol-Version"] = "1.0.0"
    assert statistics(client, page, shares(page)[0]).status_code == 403


def test_a_query_longer_than_four_kilobytes_is_refused(client: Client, page: dict[str, Any]) -> None:
    urns = [f"urn:li:share:{7300000000000000000 + n}" for n in range(130)]
    assert statistics(client, page, *urns[:50]).status_code == 200
    assert statistics(client, page, *urns).status_code == 414


def test_a_day_of_the_development_tier_is_short(client: Client, member: dict[str, Any]) -> None:
    client.switch("linkedin", tier="development")
    answers = [get(client, member, "me") for _ in range(101)]
    assert [answer.status_code for answer in answers] == [200] * 100 + [429]
    assert "MEMBER DAY" in answers[-1].json()["message"]
    assert get(client, member, "memberFollowersCount", q="me").status_code == 200


def test_a_refresh_token_does_not_rotate_and_its_end_stays_fixed(client: Client) -> None:
    old = client.account("linkedin", MEMBER, token_age=360 * 86400)
    form = {"grant_type": "refresh_token", "refresh_token": old["refresh_token"], "client_id": "c"}
    answer = client.post("www.linkedin.com/oauth/v2/accessToken", data=form).json()
    assert answer["refresh_token"] == old["refresh_token"]
    assert answer["expires_in"] == answer["refresh_token_expires_in"] <= 5 * 86400
    assert get(client, {"access_token": answer["access_token"]}, "me").status_code == 200


def test_a_dead_refresh_token_and_a_missing_parameter_share_a_code(client: Client) -> None:
    url = "www.linkedin.com/oauth/v2/accessToken"
    dead = client.post(url, data={"grant_type": "refresh_token", "refresh_token": "x"}).json()
    missing = client.post(url, data={"grant_type": "refresh_token"}).json()
    assert dead["error"] == missing["error"] == "invalid_request"
    assert "expired or revoked" in dead["error_description"] and "missing" in missing["error_description"]


def test_a_listing_is_paged_by_links_and_members_have_none(client: Client, member: dict[str, Any]) -> None:
    page = client.account("linkedin", PAGE, posts=120)
    first = get(client, page, "posts", q="author", author=PAGE, count="100", start="0").json()
    last = get(client, page, "posts", q="author", author=PAGE, count="100", start="100").json()
    assert [each["id"] for each in first["elements"] + last["elements"]] == page["post_ids"]
    assert [link["rel"] for link in first["paging"]["links"]] == ["next"]
    assert [link["rel"] for link in last["paging"]["links"]] == ["prev"]
    assert get(client, member, "posts", q="author", author=MEMBER).status_code == 400


# --- the adapter -----------------------------------------------------------------------------------------------------


def test_the_adapter_reads_a_members_posts_and_account(client: Client, member: dict[str, Any]) -> None:
    talk = speaker(client, member)
    ids = [shares(member)[5], videos(member)[5]]
    found = talk.run(LINKEDIN.fetch_posts(ids, talk.account))
    share, video = (LINKEDIN.metrics(found[i].raw) for i in ids)  # type: ignore[union-attr]
    assert [name for name, value in share.items() if value is None] == [Dimension.VIDEO_VIEWS]
    assert None not in video.values()
    talk.run(LINKEDIN.probe(talk.account))
    reading = talk.run(LINKEDIN.fetch_account(talk.account))
    assert isinstance(reading, Reading)
    assert all(LINKEDIN.account_metrics(reading.raw).values())
    assert talk.usage.calls == 7 + 8 + 1 + 3 + 1  # whose token it is, once


def test_the_adapter_reads_a_pages_posts_and_account(client: Client, page: dict[str, Any]) -> None:
    talk = speaker(client, page)
    listing = talk.run(LINKEDIN.list_posts(talk.account))
    assert [each.id for each in listing.posts] == page["post_ids"]
    silent = shares(page)[3]
    client.switch("linkedin", silent=[silent])
    found = talk.run(LINKEDIN.fetch_posts(page["post_ids"][:50], talk.account))
    assert all(isinstance(item, Reading) for item in found.values())
    assert LINKEDIN.metrics(found[silent].raw)[Dimension.IMPRESSIONS] == 0  # type: ignore[union-attr]
    watched = LINKEDIN.metrics(found[videos(page)[0]].raw)  # type: ignore[union-attr]
    assert watched[Dimension.VIDEO_VIEWS] is not None
    talk.run(LINKEDIN.probe(talk.account))
    reading = talk.run(LINKEDIN.fetch_account(talk.account))
    assert isinstance(reading, Reading)
    numbers = LINKEDIN.account_metrics(reading.raw)
    assert numbers.keys() == set(AccountDimension) - {AccountDimension.FOLLOWING, AccountDimension.POSTS_COUNT}
    assert all(numbers.values())


def test_a_page_whose_role_was_lost_lacks_a_scope(client: Client, page: dict[str, Any]) -> None:
    client.switch("linkedin", role=False)
    talk = speaker(client, page)
    with pytest.raises(ScopeMissing):
        talk.run(LINKEDIN.probe(talk.account))
    with pytest.raises(ScopeMissing):
        talk.run(LINKEDIN.fetch_posts(page["post_ids"], talk.account))


def test_a_foreign_post_spoils_its_batch_once(client: Client, page: dict[str, Any]) -> None:
    foreign = client.account("linkedin", "urn:li:organization:9")["post_ids"][0]
    client.switch("linkedin", foreign="refused")
    talk = speaker(client, page)
    ids = [*shares(page)[:30], foreign]
    found = talk.run(LINKEDIN.fetch_posts(ids, talk.account))
    assert [i for i in ids if isinstance(found[i], PlatformError)] == [foreign]
    before = talk.usage.calls
    talk.run(LINKEDIN.fetch_posts(ids, talk.account))
    assert talk.usage.calls - before == 2


def test_a_metric_that_is_withdrawn_in_mid_run_costs_only_itself(client: Client, member: dict[str, Any]) -> None:
    talk = speaker(client, member)
    urn = shares(member)[5]
    client.switch("linkedin", faults=[{"kind": "withdrawn", "metric": "LINK_CLICKS"}])
    reading = talk.run(LINKEDIN.fetch_posts([urn], talk.account))[urn]
    assert isinstance(reading, Reading)
    assert reading.unavailable == {Dimension.CLICKS: Reason.RETIRED}
    assert talk.account.retired == {"LINK_CLICKS"}
    before = talk.usage.calls
    talk.run(LINKEDIN.fetch_posts([urn], talk.account))
    assert talk.usage.calls - before == 6


def test_a_deleted_post_is_gone_and_one_of_the_other_kind_is_found(client: Client, member: dict[str, Any]) -> None:
    deleted, other = shares(member)[:2]
    client.post("_control/posts/delete", json={"platform": "linkedin", "ids": [deleted]})
    wrong = videos(member)[2].replace("ugcPost", "share")
    talk = speaker(client, member)
    found = talk.run(LINKEDIN.fetch_posts([deleted, other, wrong], talk.account))
    assert isinstance(found[deleted], Gone)
    assert isinstance(found[other], Reading) and isinstance(found[wrong], Reading)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"kind": "rate_limited"}, RateLimited),
        ({"kind": "rate_limited", "retry_after": 60}, RateLimited),
        ({"kind": "scope_missing"}, ScopeMissing),
        ({"kind": "token_expired"}, TokenExpired),
        ({"kind": "revoked_token"}, TokenExpired),
        ({"kind": "version_missing"}, Misconfigured),
        ({"kind": "no_resource"}, Misconfigured),
        ({"kind": "unpermitted"}, Rejected),
        ({"kind": "server_error"}, Unavailable),
        ({"kind": "non_json", "status": 200}, MalformedPayload),
    ],
)
def test_every_fault_is_told_from_the_others(
    client: Client, member: dict[str, Any], fault: dict[str, Any], error: type[PlatformError]
) -> None:
    client.switch("linkedin", faults=[fault])
    talk = speaker(client, member)
    with pytest.raises(error):
        talk.run(LINKEDIN.probe(talk.account))


@pytest.mark.parametrize("code", ["invalid_request", "invalid_grant"])
def test_a_refused_refresh_is_an_expired_token(client: Client, member: dict[str, Any], code: str) -> None:
    talk = speaker(client, member)
    renewed = talk.run(LINKEDIN.renew(talk.account, Credentials("", member["refresh_token"]), APP))
    assert renewed.refresh_token == member["refresh_token"]
    client.switch("linkedin", refused_refresh=code)
    client.account("linkedin", MEMBER, revoked=True)
    with pytest.raises(TokenExpired):
        talk.run(LINKEDIN.renew(talk.account, Credentials("", member["refresh_token"]), APP))

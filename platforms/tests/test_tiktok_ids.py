"""TikTok: ids, permalinks and publish ids as callers give them."""

import pytest

from platforms import registry
from platforms.tests.replay import account_of

TIKTOK = registry.get("tiktok")
A = "7077642457847991554"
PUBLISH_ID = "v_pub_url~v2-1.7080217258529737986"


@pytest.mark.parametrize(
    "given",
    [
        A,
        f"https://www.tiktok.com/@acme/video/{A}",
        f"https://www.tiktok.com/@acme.co/video/{A}?is_from_webapp=1",
        f"https://www.tiktok.com/@acme/photo/{A}/",
        f"https://m.tiktok.com/v/{A}.html",
    ],
)
def test_permalinks_become_ids(given: str) -> None:
    assert TIKTOK.normalize_post_id(given, account_of("tiktok", {})) == A


@pytest.mark.parametrize("given", [PUBLISH_ID, "v_pub_file~v2-1.123", "p_pub_url~v2.123", "v_inbox_file~v2.123"])
def test_publish_ids_stay_as_they_are(given: str) -> None:
    assert TIKTOK.normalize_post_id(given, account_of("tiktok", {})) == given


@pytest.mark.parametrize(
    "given", ["https://vm.tiktok.com/ZM123/", f"{A}?x=1", "v_pub url", "https://www.tiktok.com/@a"]
)
def test_other_texts_are_no_ids(given: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        TIKTOK.normalize_post_id(given, account_of("tiktok", {}))


@pytest.mark.parametrize("given", ["723f24d7-e717-40f8-a2b6-cb8464cd23b4", "-000NwMxzdBhNC_7f"])
def test_open_ids_are_kept_verbatim(given: str) -> None:
    assert TIKTOK.normalize_account_id(given) == given

"""X API v2: how posts are written down, and what is said of those that cannot be shown."""

from datetime import UTC, datetime
from typing import Any

from platforms.sandbox.tokens import Claims
from platforms.sandbox.wire import Answer, Call
from platforms.sandbox.world import DAY, Numbers, mix, numbers, owner_bits

EPOCH_MS = 1288834974657
FIRST_ID = 1 << 42
PRIVATE = ("non_public_metrics", "organic_metrics", "promoted_metrics")
PRIVATE_DAYS = 30
PROBLEM = "https://api.x.com/2/problems/"


def created_at(post_id: str) -> float:
    """When a post was made, from its id."""
    return ((int(post_id) >> 22) + EPOCH_MS) / 1000


def iso(at: float) -> str:
    """An instant as X writes it."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def problem(status: int, title: str, detail: str, kind: str = "", **more: Any) -> Answer:
    """A problem answer; `kind` is the last segment of its type."""
    url = PROBLEM + kind if kind else "about:blank"
    headers = {"Content-Type": "application/problem+json"} if status != 400 else {}
    return Answer({"title": title, "detail": detail, "type": url, "status": status, **more}, status, headers)


def invalid(parameter: str, values: list[str], message: str) -> Answer:
    """The refusal of a whole call because of one parameter."""
    return problem(
        400,
        "Invalid Request",
        "One or more parameters to your request was invalid.",
        "invalid-request",
        errors=[{"parameters": {parameter: values}, "message": message}],
    )


def names(account_id: str) -> dict[str, str]:
    """What a user is called."""
    return {"name": f"Sandbox {account_id[-4:]}", "username": f"sandbox_{account_id[-6:]}"}


class Reader:
    """Reads posts for one call: what was asked, in which words, and for whom."""

    def __init__(self, call: Call, claims: Claims) -> None:
        request, vocabulary = call.request, call.state.switches["vocabulary"]
        understood = {"tweet": ("tweet.fields",), "post": ("post.fields",)}.get(
            vocabulary, ("post.fields",) if "post.fields" in request.query else ("tweet.fields",)
        )
        self.call = call
        self.fields = {name for parameter in understood for name in request.listed(parameter)} - call.withdrawn()
        self.withdrawn = call.withdrawn()
        self.post_words = understood == ("post.fields",)
        self.expansions = set(request.listed("expansions"))
        self.media_fields = set(request.listed("media.fields"))
        self.private = [name for name in PRIVATE if name in self.fields]
        self.owner = owner_bits(claims.account_id, 22) if claims.kind == "access" else -1
        self.account_id = claims.account_id
        self.media: list[dict[str, Any]] = []
        self.errors: list[dict[str, Any]] = []
        self.problems = {fault.id: fault.problem for fault in call.soft_faults if fault.kind == "item_error"}

    def answer(self, ids: list[str], parameter: str, meta: dict[str, Any] | None = None) -> Answer:
        """The answer to a batch or a page; `data` is left out when it would be empty."""
        items = [item for post_id in ids if (item := self._item(post_id, parameter)) is not None]
        payload: dict[str, Any] = {"data": items} if items else {}
        includes: dict[str, Any] = {"media": self.media} if self.media else {}
        if "author_id" in self.expansions and items:
            authors = dict.fromkeys(self._author(item["id"]) for item in items if "id" in item)
            includes["users"] = [{"id": author, **names(author)} for author in authors]
        if includes:
            payload["includes"] = includes
        if self.errors:
            payload["errors"] = self.errors
        if meta is not None:
            payload["meta"] = meta
        return Answer(payload)

    def _item(self, post_id: str, parameter: str) -> dict[str, Any] | None:
        number, now = int(post_id), self.call.now
        age = now - created_at(post_id) if FIRST_ID <= number < 1 << 63 else -1.0
        if age < 0 or post_id in self.call.state.deleted:
            self.errors.append(not_found(post_id, parameter))
            return None
        if post_id in self.problems:
            self.errors.append({**not_found(post_id, parameter), **_item_problem(post_id, self.problems[post_id])})
            return None
        own = number & 0x3FFFFF == self.owner
        fresh = age < PRIVATE_DAYS * DAY
        if self.private and not (own and fresh):
            self.errors.extend(_field_errors(self.private, post_id, parameter))
            if not own or self.call.state.switches["over_age"] == "object":
                idless = {"text": "", "edit_history_tweet_ids": []}
                return idless if self.call.state.switches["idless_items"] else None
        return self._written(post_id, age, show_private=own and fresh)

    def _written(self, post_id: str, age: float, *, show_private: bool) -> dict[str, Any]:
        counts, bits, fields = numbers(post_id, age), mix(f"kind:{post_id}"), self.fields
        item: dict[str, Any] = {"id": post_id, "text": f"Sandbox post {post_id[-6:]}"}
        if not self.post_words:
            item["edit_history_tweet_ids"] = [post_id]
        if "created_at" in fields:
            item["created_at"] = iso(created_at(post_id))
        if not self.post_words and "author_id" in fields:
            item["author_id"] = self._author(post_id)
        if bits & 3 < 2 and ("attachments" in fields or "attachments.media_keys" in self.expansions):
            item["attachments"] = {"media_keys": [self._add_media(post_id, counts, video=bits & 3 == 0)]}
        if "public_metrics" in fields:
            item["public_metrics"] = self._public(counts)
        if show_private:
            for name in self.private:
                if name != "promoted_metrics":
                    item[name] = self._private_metrics(name, counts, link=bits >> 2 & 1 == 0)
        return item

    def _author(self, post_id: str) -> str:
        """Who made a post; only the caller's own id can be told from a post's."""
        bits = int(post_id) & 0x3FFFFF
        return self.account_id if bits == self.owner else str(3_000_000_000 + bits)

    def _public(self, counts: Numbers) -> dict[str, int]:
        public = {
            "repost_count" if self.post_words else "retweet_count": counts.shares,
            "reply_count": counts.comments,
            "like_count": counts.likes,
            "quote_count": counts.quotes,
            "bookmark_count": counts.saves,
            "impression_count": counts.impressions,
        }
        return {name: value for name, value in public.items() if name not in self.withdrawn}

    def _private_metrics(self, name: str, counts: Numbers, *, link: bool) -> dict[str, int]:
        found = {"impression_count": counts.impressions, "user_profile_clicks": counts.profile_clicks}
        if link:
            found["url_link_clicks"] = counts.clicks
        if name == "non_public_metrics":
            found["engagements"] = sum(counts[2:9])
            return found
        shares = {"repost_count" if self.post_words else "retweet_count": counts.shares}
        return {**found, "like_count": counts.likes, "reply_count": counts.comments, **shares}

    def _add_media(self, post_id: str, counts: Numbers, *, video: bool) -> str:
        key = f"{13 if video else 3}_{int(post_id) - 2}"
        if "attachments.media_keys" in self.expansions:
            media: dict[str, Any] = {"media_key": key, "type": "video" if video else "photo"}
            if video and "public_metrics" in self.media_fields:
                media["public_metrics"] = {"view_count": counts.video_views}
            self.media.append(media)
        return key


def not_found(item_id: str, parameter: str, kind: str = "tweet") -> dict[str, Any]:
    """The entry in `errors` for an item that is not there."""
    return {
        "resource_id": item_id,
        "resource_type": kind,
        "parameter": parameter,
        "value": item_id,
        "title": "Not Found Error",
        "detail": f"Could not find {kind} with {parameter}: [{item_id}].",
        "type": f"{PROBLEM}resource-not-found",
    }


def _item_problem(post_id: str, kind: str) -> dict[str, str]:
    kind = kind or "not-authorized-for-resource"
    title = {"not-authorized-for-resource": "Authorization Error", "internal-error": "Internal Error"}.get(kind, kind)
    return {"title": title, "detail": f"The post [{post_id}] can not be shown: {kind}.", "type": PROBLEM + kind}


def _field_errors(private: list[str], post_id: str, parameter: str) -> list[dict[str, Any]]:
    return [
        {
            "resource_id": post_id,
            "resource_type": "tweet",
            "parameter": parameter,
            "value": post_id,
            "section": "data",
            "field": name,
            "title": "Field Authorization Error",
            "detail": f"Sorry, you are not authorized to access '{name}' on the Tweet with {parameter} : [{post_id}].",
            "type": f"{PROBLEM}not-authorized-for-field",
        }
        for name in private
    ]

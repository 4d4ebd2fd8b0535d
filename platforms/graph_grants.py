"""What a person left ticked in a dialog of Meta's."""

from platforms.base import Call, Request
from platforms.errors import PlatformError
from platforms.oauth import TokenSet
from platforms.payloads import lookup


def granted_scopes(tokens: TokenSet, inspector: str) -> Call[tuple[str, ...]]:
    """The scopes of a grant, by a token that may look; those that its answer named if it may not."""
    # https://developers.facebook.com/docs/graph-api/reference/debug_token
    params = {"input_token": tokens.access_token, "access_token": inspector}
    (answer,) = yield (Request("debug_token", params=params, auth="none", group="debug_token"),)
    told = None if isinstance(answer, PlatformError) else lookup(answer, ("data", "scopes"))
    return tuple(each for each in told if isinstance(each, str)) if isinstance(told, list) else tokens.scopes

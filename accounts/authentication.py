"""Who is calling: an organization, by API key."""

from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from accounts.models import ApiKey, Organization
from accounts.services.keys import find_key


class Caller:
    """The organization behind a valid key."""

    is_authenticated = True
    is_active = True

    def __init__(self, organization: Organization) -> None:
        self.organization = organization
        self.pk = organization.pk


class ApiKeyAuthentication(BaseAuthentication):
    """`Authorization: Bearer sk_live_…`; `request.auth` is the `ApiKey`."""

    def authenticate(self, request: Request) -> tuple[Caller, ApiKey] | None:
        scheme, _, text = get_authorization_header(request).partition(b" ")
        if scheme.lower() != b"bearer":
            return None
        key = find_key(text.strip().decode("ascii", "replace"))
        if key is None:
            raise AuthenticationFailed("The API key is not known, or it has expired or been revoked.")
        return Caller(key.organization), key

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"

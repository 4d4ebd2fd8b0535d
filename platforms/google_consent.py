"""Google's consent dialog."""

from platforms.consent import Consent

# https://developers.google.com/identity/protocols/oauth2/web-server#creatingclient
CONSENT = Consent(
    "https://accounts.google.com/o/oauth2/v2/auth",
    "https://oauth2.googleapis.com/token",
    pkce=True,
    params={"access_type": "offline", "prompt": "consent"},  # without both, a second consent has no refresh token
)

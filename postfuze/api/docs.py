"""The page that shows the OpenAPI document; everything on it comes from this site."""

import secrets

from django.http import HttpRequest, HttpResponse
from django.templatetags.static import static
from django.urls import reverse
from django.utils.html import format_html

ASSETS = "drf_spectacular_sidecar/swagger-ui-dist"
POLICY = (
    "default-src 'none'; connect-src 'self'; img-src 'self' data:; font-src 'self'; style-src 'self' 'unsafe-inline';"
    " script-src 'self' 'nonce-{nonce}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>PostFuze Analytics API</title>
<link rel="icon" href="{icon}">
<link rel="stylesheet" href="{style}">
</head>
<body>
<div id="swagger-ui"></div>
<script src="{script}"></script>
<script nonce="{nonce}">
SwaggerUIBundle({{
  url: "{document}", dom_id: "#swagger-ui", presets: [SwaggerUIBundle.presets.apis], layout: "BaseLayout",
  validatorUrl: null, deepLinking: true, persistAuthorization: false, displayRequestDuration: true
}});
</script>
</body>
</html>
"""


def docs(request: HttpRequest) -> HttpResponse:
    nonce = secrets.token_urlsafe(16)
    page = format_html(
        PAGE,
        icon=static(f"{ASSETS}/favicon-32x32.png"),
        style=static(f"{ASSETS}/swagger-ui.css"),
        script=static(f"{ASSETS}/swagger-ui-bundle.js"),
        document=reverse("openapi"),
        nonce=nonce,
    )
    return HttpResponse(page, headers={"Content-Security-Policy": POLICY.format(nonce=nonce)})

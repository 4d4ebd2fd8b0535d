"""All settings. Each environment variable is read here, once; `.env.example` lists them."""

import os
from datetime import timedelta
from functools import partial
from pathlib import Path

from kombu import Exchange, Queue

from platforms.registry import PLATFORMS
from postfuze import env as parse
from postfuze.logs import logging_config, start_sentry

BASE_DIR = Path(__file__).resolve().parent.parent
ENV_FILE = os.environ.get("ENV_FILE", "")
env = parse.Environment(BASE_DIR / (ENV_FILE if "ENV_FILE" in os.environ else ".env"), is_named=bool(ENV_FILE))

# What this process is: it decides on the connection pool and, without Redis, on its share of every platform budget.
PROCESS = env("POSTFUZE_PROCESS", parse.one_of("web", "beat", "worker", "command"), "command")

SECRET_KEY = env("SECRET_KEY")
DEBUG = env("DEBUG", parse.boolean, False)
ALLOWED_HOSTS = env("ALLOWED_HOSTS", parse.hosts, ["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = env("CSRF_TRUSTED_ORIGINS", parse.origins, [])

INSTALLED_APPS = [
    "unfold",
    "unfold.contrib.filters",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "platforms.apps.PlatformsConfig",
    "accounts.apps.AccountsConfig",
    "analytics.apps.AnalyticsConfig",
]

MIDDLEWARE = [
    "postfuze.api.request_id.RequestIdMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "postfuze.api.middleware.ApiMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "postfuze.admin.ForgedInputMiddleware",
]

ROOT_URLCONF = "postfuze.urls"
WSGI_APPLICATION = "postfuze.wsgi.application"
APPEND_SLASH = False
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

# --- processes, threads, database

# Read by the commands in the Procfile, and here to be checked.
WEB_CONCURRENCY = env("WEB_CONCURRENCY", partial(parse.whole, at_most=1000), 1)
WORKER_CONCURRENCY = env("WORKER_CONCURRENCY", partial(parse.whole, at_most=1000), 2)
WEB_THREADS = env("WEB_THREADS", partial(parse.whole, at_most=1000), 32)

DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = {
    "default": env(
        "DATABASE_URL",
        parse.database(BASE_DIR),
        {"ENGINE": "django.db.backends.sqlite3", "NAME": str(BASE_DIR / "postfuze.sqlite3")},
    )
}
# Web threads give their connection back while they wait for platforms; what comes is stored by further threads.
DATABASE_POOL_SIZE = env("DATABASE_POOL_SIZE", partial(parse.whole, at_most=1000), WEB_THREADS + 8)
DATABASE = DATABASES["default"]
if DATABASE["ENGINE"].endswith("sqlite3"):
    DATABASE["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA busy_timeout=20000",
    }
elif PROCESS == "web":
    pool = {"min_size": 1, "max_size": DATABASE_POOL_SIZE, "timeout": 10}
    DATABASE["OPTIONS"] = {**DATABASE.get("OPTIONS", {}), "pool": pool}
    DATABASE["CONN_MAX_AGE"] = 0
else:
    DATABASE["CONN_MAX_AGE"] = 300
    DATABASE["CONN_HEALTH_CHECKS"] = True

# --- security

# Served over https, by a proxy that sets X-Forwarded-Proto. The API itself is never redirected: a bearer token sent in
# the clear is already out, and load balancers ask for health over plain http.
HTTPS = env("HTTPS", parse.boolean, not DEBUG)
SECURE_SSL_REDIRECT = HTTPS
SECURE_REDIRECT_EXEMPT = [r"^api/", r"^docs", r"^static/"]
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = HTTPS
SECURE_HSTS_PRELOAD = HTTPS
SESSION_COOKIE_SECURE = HTTPS
CSRF_COOKIE_SECURE = HTTPS
SESSION_COOKIE_HTTPONLY = True
LOGIN_REDIRECT_URL = "admin:index"  # who opens the log-in page itself
X_FRAME_OPTIONS = "DENY"
DATA_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]
TOKEN_ENCRYPTION_KEYS = env("TOKEN_ENCRYPTION_KEYS", parse.fernet_keys)  # newest first

# --- language, time, files

LANGUAGE_CODE = "en-us"
USE_I18N = False
USE_TZ = True
TIME_ZONE = "UTC"
FORMAT_MODULE_PATH = "postfuze.formats"
STATIC_URL = "/static/"
WHITENOISE_USE_FINDERS = True  # straight from the installed packages: no collectstatic
WHITENOISE_MAX_AGE = 3600
PORT = env("PORT", parse.port, 8000)
PUBLIC_URL = env("PUBLIC_URL", parse.origin, f"http://127.0.0.1:{PORT}")  # as callers reach it

# --- platforms

PLATFORM_HOST_MAP: dict[str, str] = env("PLATFORM_HOST_MAP", parse.host_map, {})
SANDBOX_PORT = env("SANDBOX_PORT", parse.port, 8001)
SANDBOX_URL = env("SANDBOX_URL", parse.origin, f"http://127.0.0.1:{SANDBOX_PORT}")
X_VOCABULARY = env("X_VOCABULARY", parse.one_of("tweet", "post"), "tweet")
X_IMPORTS = env("X_IMPORTS", parse.boolean, False)  # X bills every post of a listing
FACEBOOK_API_VERSION = env("FACEBOOK_API_VERSION", parse.graph_version, "v26.0")
INSTAGRAM_API_VERSION = env("INSTAGRAM_API_VERSION", parse.graph_version, "v26.0")
LINKEDIN_VERSION = env("LINKEDIN_VERSION", parse.monthly_version, "202609")
LINKEDIN_TIER = env("LINKEDIN_TIER", parse.one_of("standard", "development"), "standard")
PLATFORM_SETTINGS = {
    "x": {"vocabulary": X_VOCABULARY, "imports": X_IMPORTS},
    "facebook": {"api_version": FACEBOOK_API_VERSION},
    "instagram": {"api_version": INSTAGRAM_API_VERSION},
    "linkedin": {"api_version": LINKEDIN_VERSION, "tier": LINKEDIN_TIER},
}
CONNECT_REDIRECT_HOSTS = env("CONNECT_REDIRECT_HOSTS", parse.hosts_and_ports, [])
WEBHOOK_ALLOWED_HOSTS = env("WEBHOOK_ALLOWED_HOSTS", parse.hosts_and_ports, [])
WEBHOOK_RETENTION = env("WEBHOOK_RETENTION", parse.duration, timedelta(days=30))
WEBHOOK_CAPTURED_ROWS = env("WEBHOOK_CAPTURED_ROWS", partial(parse.whole, at_most=10_000), 500)

# --- collecting

COLLECT_CADENCE = env("COLLECT_CADENCE", parse.cadence, parse.cadence("1d=30m,7d=6h,90d=1d,*=7d"))
ACCOUNT_CADENCE = env("ACCOUNT_CADENCE", parse.duration, timedelta(hours=1))
COLLECT_EVERY = env("COLLECT_EVERY", partial(parse.whole, at_most=3600), 60)
COLLECT_TASK_SECONDS = env("COLLECT_TASK_SECONDS", partial(parse.whole, at_least=5, at_most=3600), 50)
IMPORT_EVERY = env("IMPORT_EVERY", parse.duration, timedelta(hours=1))
TOKEN_REFRESH_MARGIN = env("TOKEN_REFRESH_MARGIN", partial(parse.whole, at_least=0, at_most=86400), 300)
LIVE_SHARE_OF_LIMITS = env("LIVE_SHARE_OF_LIMITS", parse.share, 0.2)  # of each platform limit, kept for live reads

# --- keeping

RAW_RETENTION_DEFAULTS = {"linkedin": timedelta(days=365)}
parse_retention = parse.retention(PLATFORMS, RAW_RETENTION_DEFAULTS)
RAW_RETENTION: parse.Retention = env("RAW_RETENTION", parse_retention, parse_retention("*=forever"))
AUDIT_KEEP = env("AUDIT_KEEP", parse.keeping, timedelta(days=400))

# --- Redis, Celery and limits

REDIS_URL: str | None = env("REDIS_URL", parse.redis_url, None)
LIMITS_STORAGE_URL = REDIS_URL or "memory://"
PROCESS_SHARES = {"web": 0.4, "beat": 0.6, "worker": 0.6, "command": 0.6}
PROCESS_SHARE_OF_LIMITS = 1.0 if REDIS_URL else PROCESS_SHARES[PROCESS]

CELERY_BROKER_URL = REDIS_URL or "memory://localhost"
CELERY_TASK_ALWAYS_EAGER = REDIS_URL is None
CELERY_TASK_EAGER_PROPAGATES = False
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_SERIALIZER = "json"
CELERY_RESULT_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_DEFAULT_QUEUE = "postfuze"
# A worker takes from both; one that takes from "webhooks" alone delivers while the others collect.
CELERY_TASK_QUEUES = [Queue(name, Exchange(name), routing_key=name) for name in ("postfuze", "webhooks")]
CELERY_TASK_ROUTES = {"accounts.tasks.deliver_webhooks": {"queue": "webhooks"}}
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
# The work stops by itself before: its last batch may take a token exchange (30 s), a conversation (60 s), and storing.
CELERY_TASK_SOFT_TIME_LIMIT = COLLECT_TASK_SECONDS + 110
CELERY_TASK_TIME_LIMIT = COLLECT_TASK_SECONDS + 140
# What a dead worker held is free again after this.
# A claim that lapses while its batch is under way pays for calls and stores nothing. Only tests may be so quick.
SHORTEST_CLAIM = 1 if DEBUG else CELERY_TASK_TIME_LIMIT
claim_seconds = partial(parse.whole, at_least=SHORTEST_CLAIM, at_most=86400)
COLLECT_CLAIM_SECONDS = env("COLLECT_CLAIM_SECONDS", claim_seconds, CELERY_TASK_TIME_LIMIT + 30)
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 10 * CELERY_TASK_TIME_LIMIT,
    # Nobody who wakes a worker waits for a broker that is down, or hangs: beat makes up for it. A worker's own look
    # into an empty queue takes a second.
    **{"socket_connect_timeout": 2, "socket_timeout": 5, "max_retries": 1, "interval_start": 0, "interval_max": 0},
}
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_REDIRECT_STDOUTS = False
CELERY_BEAT_SCHEDULE_FILENAME = str(BASE_DIR / "var" / "beat-schedule")
CELERY_TIMEZONE = "UTC"

# --- the API

API_RATE_DEFAULTS = {"all": 600, "posts": 120, "social_accounts": 20, "webhooks": 60}
API_RATE_LIMITS: dict[str, int] = env("API_RATE_LIMITS", parse.rate_limits(API_RATE_DEFAULTS), API_RATE_DEFAULTS)
API_AUDIT = "accounts.services.audit.record_call"  # told of every write that succeeded
ADMIN_AUDIT = "accounts.services.audit.record_staff"
API_LAST_PASS = "analytics.selectors.last_pass_at"  # asked by /api/v1/ready

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["accounts.authentication.ApiKeyAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_THROTTLE_CLASSES": ["postfuze.api.throttling.OrganizationThrottle"],
    "DEFAULT_RENDERER_CLASSES": ["postfuze.api.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["postfuze.api.parsers.StrictJSONParser"],
    "DEFAULT_PAGINATION_CLASS": "postfuze.api.pagination.KeysetPagination",
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend"],
    "DEFAULT_METADATA_CLASS": "postfuze.api.metadata.AllowedMethods",
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "postfuze.api.problems.exception_handler",
    "UNAUTHENTICATED_USER": None,
    "URL_FORMAT_OVERRIDE": None,  # ?format= is a parameter like any other
    "DATETIME_FORMAT": None,  # the renderer writes instants
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
    "TEST_REQUEST_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
}
SPECTACULAR_SETTINGS = {
    "TITLE": "PostFuze Analytics",
    "DESCRIPTION": "What published posts and connected social accounts achieved, on social platforms.",
    "VERSION": "0.1.0",
    "OAS_VERSION": "3.1.0",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "SERVE_INCLUDE_SCHEMA": False,
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "ENUM_NAME_OVERRIDES": {
        "AccountStatus": "accounts.models.social_account.Status.choices",
        "DeliveryStatus": "accounts.models.webhook_delivery.DeliveryStatus.choices",
        "PostStatus": "analytics.models.post.PostStatus.choices",
        "TargetStatus": "analytics.models.target.TargetStatus.choices",
        "PlatformKey": "platforms.registry.choices",
    },
    "PREPROCESSING_HOOKS": ["postfuze.api.schema.only_the_api"],
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "postfuze.api.schema.declare_problems",
        "postfuze.api.schema.forbid_unknown_fields",
    ],
}
UNFOLD = {
    "SITE_TITLE": "PostFuze Analytics",
    "SITE_HEADER": "PostFuze Analytics",
    "SITE_URL": "/docs",
    "SITE_FAVICONS": [{"rel": "icon", "href": "data:,"}],  # none: browsers would ask for one
    "SHOW_HISTORY": False,
    "SHOW_BACK_BUTTON": True,
    "DASHBOARD_CALLBACK": "analytics.admin.dashboard.dashboard",
}

# --- logs, error reporting

LOG_LEVEL = env("LOG_LEVEL", parse.one_of("debug", "info", "warning", "error", "critical"), "info").upper()
LOG_FORMAT = env("LOG_FORMAT", parse.one_of("json", "console"), "json")
LOGGING = logging_config(LOG_LEVEL, LOG_FORMAT)

SENTRY_DSN: str | None = env("SENTRY_DSN", parse.sentry_dsn, None)
if SENTRY_DSN:
    start_sentry(SENTRY_DSN)

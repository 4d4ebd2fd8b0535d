"""Settings for tests: on SQLite in a file, or on the DATABASE_URL and REDIS_URL that are given."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

os.environ["ENV_FILE"] = ""  # a developer's .env decides nothing here
os.environ.setdefault("SECRET_KEY", "test-only-secret-key-that-signs-nothing-outside-of-tests")
os.environ.setdefault("TOKEN_ENCRYPTION_KEYS", "dGVzdC1vbmx5LWtleS10aGF0LWVuY3J5cHRzLW5vbmU=")
os.environ.setdefault("DEBUG", "false")
os.environ.setdefault("HTTPS", "off")
os.environ.setdefault("LOG_LEVEL", "warning")
os.environ.setdefault("LOG_FORMAT", "console")

if "POSTFUZE_TEST_DIR" not in os.environ:  # xdist's workers inherit it
    os.environ["POSTFUZE_TEST_DIR"] = tempfile.mkdtemp(prefix="postfuze-tests-")
    atexit.register(shutil.rmtree, os.environ["POSTFUZE_TEST_DIR"], ignore_errors=True)

from postfuze.settings import *  # noqa: F403
from postfuze.settings import DATABASES

TEST_DIR = Path(os.environ["POSTFUZE_TEST_DIR"])

if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # A file, so that all threads see one database; pytest-django adds the xdist worker to its name.
    DATABASES["default"]["NAME"] = str(TEST_DIR / "db.sqlite3")
    DATABASES["default"]["TEST"] = {"NAME": str(TEST_DIR / "test.sqlite3")}
    DATABASES["default"]["OPTIONS"]["init_command"] = (
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF; PRAGMA busy_timeout=20000"
    )
else:
    DATABASES["default"]["CONN_MAX_AGE"] = 0

ALLOWED_HOSTS = ["testserver", "localhost", "127.0.0.1"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
WHITENOISE_AUTOREFRESH = True  # looks files up when asked instead of scanning all of them for each client
CELERY_TASK_ALWAYS_EAGER = True
CELERY_TASK_EAGER_PROPAGATES = True
CELERY_BROKER_URL = "memory://"
CELERY_BEAT_SCHEDULE_FILENAME = str(TEST_DIR / "beat-schedule")
API_RATE_LIMITS = {"all": 100_000, "posts": 100_000, "social_accounts": 100_000, "webhooks": 100_000}

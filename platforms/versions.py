"""Which API version answered: a platform may serve another than it was asked for, and say so in a header alone."""

import logging
from collections.abc import Mapping

from platforms.base import Account, Platform

logger = logging.getLogger(__name__)
_told: set[tuple[str, str, str]] = set()


def notice(platform: Platform, account: Account, headers: Mapping[str, str]) -> None:
    """Log, once in each process, that another version was served than the one asked for."""
    served = headers.get(platform.version_header, "").strip() if platform.version_header else ""
    asked = str(account.settings.get("api_version") or platform.api_version)
    if not (served and asked) or served == asked or (told := (platform.key, asked, served)) in _told:
        return
    _told.add(told)
    logger.warning("%s was asked in version %s and answered in %.20s", platform.key, asked, served)

from accounts.tests.browser.chromium import page  # noqa: F401

from accounts.tests.fixtures import client_for, running_sandbox, sandbox, status_of  # noqa: F401

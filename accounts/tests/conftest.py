from accounts.tests.fixtures import api, client_for, organization, running_sandbox, sandbox, status_of  # noqa: F401

from accounts.tests.consents import answer, walk  # noqa: F401
from accounts.tests.fixtures import api, client_for, organization, running_sandbox, sandbox, status_of  # noqa: F401
from accounts.tests.receivers import make_receiver, receiver  # noqa: F401

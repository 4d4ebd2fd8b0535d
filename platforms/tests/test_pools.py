from contextvars import ContextVar

from platforms import pools

told: ContextVar[str] = ContextVar("told", default="nothing")


def test_a_thread_knows_what_the_one_that_asked_it_knew_and_nothing_of_the_one_before() -> None:
    """Log lines bear the id of the request that a pool works for."""
    pool = pools.requests_pool("test-pools")
    token = told.set("request 1")
    first = [pool.submit(told.get) for _ in range(pools.REQUESTS)]
    told.reset(token)
    second = [pool.submit(told.get) for _ in range(pools.REQUESTS)]
    assert {each.result() for each in first} == {"request 1"}
    assert {each.result() for each in second} == {"nothing"}

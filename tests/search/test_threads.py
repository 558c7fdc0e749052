"""Threads of linear algebra."""

from threadpoolctl import threadpool_info, threadpool_limits

from niwaki.search.threads import one_thread


def numbers() -> set[int]:
    return {each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"}


def test_linear_algebra_has_one_thread_and_then_as_many_as_before() -> None:
    with threadpool_limits(limits=2, user_api="blas"):
        before = numbers()
        with one_thread():
            assert numbers() == {1}
        assert numbers() == before

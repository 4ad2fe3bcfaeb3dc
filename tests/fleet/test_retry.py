"""Retries of requests."""

import asyncio
from random import Random
from typing import Any

import pytest

from penstock_server.fleet.retry import Retries, RetryBudget, RetryRules
from penstock_server.upstream.error_body import ErrorBody
from penstock_server.upstream.failure import Kind, Stage, UpstreamFailure

from .clock import Clock

DOWN = UpstreamFailure(Kind.CONNECT, "down", Stage.CONNECT)


def rules(clock: Clock, share: float = 0.2, **given: Any) -> RetryRules:
    known: dict[str, Any] = {
        "max_attempts": 3,
        "resendable": lambda failure, elsewhere: failure.kind is not Kind.MALFORMED,
        "budget": RetryBudget(share, clock),
        "clock": clock,
        "sleep": clock.sleep,
        "chance": Random(1),
    }
    return RetryRules(**(known | given))


async def again(retries: Retries, failure: UpstreamFailure, *, elsewhere: bool = False) -> bool:
    """Returns whether a failed request is to be retried."""
    retries.sent += 1
    try:
        await retries.wait(failure, elsewhere=elsewhere)
    except UpstreamFailure:
        return False
    return True


def busy(retry_after_s: float | None) -> UpstreamFailure:
    return UpstreamFailure(Kind.HTTP_ERROR, "", Stage.BODY, status=503, retry_after_s=retry_after_s)


def closed(stage: Stage) -> UpstreamFailure:
    return UpstreamFailure(Kind.CLOSED, "", stage)


async def test_the_maximum_number_of_requests() -> None:
    retries = Retries(rules(Clock(), max_attempts=3))
    assert [await again(retries, DOWN) for _ in range(3)] == [True, True, False]


async def test_only_safe_failures_are_retried() -> None:
    assert not await again(Retries(rules(Clock())), UpstreamFailure(Kind.MALFORMED, "", Stage.BODY))


async def test_failures_that_are_safe_to_retry_elsewhere() -> None:
    retries = Retries(rules(Clock(), resendable=lambda failure, elsewhere: elsewhere))
    assert await again(retries, DOWN, elsewhere=True)
    assert not await again(retries, DOWN)


async def test_a_search_for_a_stored_response_needs_no_budget() -> None:
    error = ErrorBody(message="Response with id 'resp_1' not found.", param="response_id")
    elsewhere = UpstreamFailure(Kind.HTTP_ERROR, "", Stage.BODY, status=404, error=error)
    known = rules(Clock(), share=0)
    for _ in range(100):
        assert await again(Retries(known), elsewhere, elsewhere=True)
    assert known.budget.spend()


async def test_delays_grow_and_vary() -> None:
    clock, chance = Clock(), Random(1)
    for _ in range(50):
        free = RetryBudget(0, Clock())
        retries = Retries(rules(clock, max_attempts=9, budget=free, chance=chance))
        while await again(retries, DOWN):
            pass
    for turn in range(8):
        waits, longest = clock.slept[turn::8], min(0.05 * 2**turn, 2)
        assert longest / 2 <= min(waits) < max(waits) <= longest
        assert len(set(waits)) == 50


async def test_no_delay_if_another_replica_is_available() -> None:
    clock = Clock()
    assert await again(Retries(rules(clock)), busy(30), elsewhere=True)
    assert clock.slept == []


async def test_retry_after_is_honoured() -> None:
    clock = Clock()
    assert await again(Retries(rules(clock)), busy(1.5))
    assert clock.slept == [1.5]


async def test_a_long_retry_after_is_left_to_the_caller() -> None:
    clock = Clock()
    assert not await again(Retries(rules(clock)), busy(2.5))
    assert clock.slept == []


@pytest.mark.parametrize(("left", "sent"), [(1.4, False), (1.6, True)])
async def test_the_deadline_limits_the_delay(left: float, sent: bool) -> None:
    clock = Clock()
    assert await again(Retries(rules(clock), deadline=clock.now + left), busy(1.5)) is sent
    assert bool(clock.slept) is sent


async def test_an_expired_deadline() -> None:
    clock = Clock()
    retries = Retries(rules(clock), deadline=clock.now)
    assert not await again(retries, DOWN, elsewhere=True)


@pytest.mark.parametrize("stage", [Stage.HEADERS, Stage.STREAM])
async def test_a_connection_closed_before_the_answer_is_retried_once(stage: Stage) -> None:
    retries = Retries(rules(Clock(), resendable=lambda failure, elsewhere: False))
    assert [await again(retries, closed(stage)) for _ in range(2)] == [True, False]


@pytest.mark.parametrize("stage", [Stage.HEADERS, Stage.STREAM])
async def test_processed_requests_are_not_always_repeatable(stage: Stage) -> None:
    shared = rules(Clock(), resendable=lambda failure, elsewhere: failure is DOWN)
    assert not await again(Retries(shared, repeatable=False), closed(stage))
    assert await again(Retries(shared, repeatable=False), DOWN)


@pytest.mark.parametrize("repeatable", [False, True])
async def test_an_error_inside_a_stream_counts_as_processed(repeatable: bool) -> None:
    error = UpstreamFailure(Kind.HTTP_ERROR, "", Stage.STREAM, status=503)
    assert await again(Retries(rules(Clock()), repeatable=repeatable), error) is repeatable
    assert await again(Retries(rules(Clock()), repeatable=repeatable), busy(None))


@pytest.mark.parametrize("repeatable", [False, True])
async def test_an_aborted_response_may_be_stored(repeatable: bool) -> None:
    aborted = UpstreamFailure(Kind.ABORTED, "", Stage.BODY)
    assert await again(Retries(rules(Clock()), repeatable=repeatable), aborted) is repeatable


async def test_a_connection_closed_inside_the_answer_is_left_to_the_caller() -> None:
    retries = Retries(rules(Clock(), resendable=lambda failure, elsewhere: False))
    assert not await again(retries, closed(Stage.BODY))


async def test_a_cancellation_stops_the_delay() -> None:
    waiting = asyncio.Event()

    async def sleep(seconds: float) -> None:
        waiting.set()
        await asyncio.Event().wait()

    retries = Retries(rules(Clock(), sleep=sleep))
    trying = asyncio.create_task(again(retries, DOWN))
    async with asyncio.timeout(60):
        await waiting.wait()
        trying.cancel()
        with pytest.raises(asyncio.CancelledError):
            await trying
    assert retries.sent == 1


# The budget


def earn(budget: RetryBudget, calls: int, under_way: int = 0) -> None:
    """Makes calls one after the other while others are running."""
    for _ in range(under_way):
        budget.begin()
    for _ in range(calls):
        budget.begin()
        budget.end()
    for _ in range(under_way):
        budget.end()


def spent(budget: RetryBudget) -> int:
    count = 0
    while budget.spend():
        count += 1
    return count


def test_a_few_retries_per_second_are_free() -> None:
    clock = Clock()
    budget = RetryBudget(0, clock)
    assert spent(budget) == 10
    clock.now += 0.5
    assert spent(budget) == 5
    clock.now += 3600
    assert spent(budget) == 10


def test_calls_earn_a_share_of_retries() -> None:
    budget = RetryBudget(0.2, Clock())
    spent(budget)
    earn(budget, 50)
    assert spent(budget) in (9, 10)


def test_the_saved_budget_is_limited() -> None:
    budget = RetryBudget(0.2, Clock())
    spent(budget)
    earn(budget, 10_000, under_way=49)
    assert spent(budget) == 100
    earn(budget, 10_000, under_way=699)
    assert spent(budget) == 700


async def test_a_dead_fleet_receives_few_retries() -> None:
    clock = Clock()
    shared = rules(clock, 0.2, sleep=Clock(0).sleep)
    requests = 0
    for _ in range(10_000):
        earn(shared.budget, 1)
        clock.now += 0.001
        retries = Retries(shared)
        while await again(retries, DOWN, elsewhere=True):
            pass
        requests += retries.sent
    assert 12_000 <= requests <= 10_000 * 1.2 + 10 * 10 + 10

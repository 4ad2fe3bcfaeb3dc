"""The number of items that a batch sends at once, and when refused items are sent again."""

import asyncio
from random import Random

import pytest

from penstock_server.rpc import status
from penstock_server.rpc.services.pace import FIRST_PLACES, Pace
from penstock_server.rpc.status import Status
from penstock_server.rpc.status.table import ENGINE_DEAD, INVALID_REQUEST

from .keyed import Clock

REFUSAL = status.of_overload(1)
DEAD = Status(ENGINE_DEAD, "the engine is dead")
INVALID = Status(INVALID_REQUEST, "not valid")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pace(clock: Clock) -> Pace:
    async def sleep(seconds: float) -> None:
        clock.now += seconds

    return Pace(32, 60.0, clock=clock, sleep=sleep, chance=Random(1))


def test_there_are_more_places_with_each_answer(pace: Pace) -> None:
    assert pace.places == FIRST_PLACES
    for _ in range(4):
        pace.answered()
    assert pace.places == FIRST_PLACES + 4
    for _ in range(100):
        pace.answered()
    assert pace.places == 32


async def test_a_refusal_halves_the_places_once(pace: Pace, clock: Clock) -> None:
    sent = clock.now
    clock.now += 1
    for _ in range(5):
        assert await pace.tries_again(REFUSAL, sent, 1)
    assert pace.places == FIRST_PLACES // 2
    assert await pace.tries_again(REFUSAL, clock.now, 1)
    assert pace.places == FIRST_PLACES // 4
    for _ in range(FIRST_PLACES // 4 + 1):
        pace.answered()
    assert pace.places == FIRST_PLACES // 4 + 1
    for _ in range(10):
        pace.answered()
        assert await pace.tries_again(REFUSAL, clock.now, 1)
    assert pace.places == 1


async def test_patience_begins_with_the_first_refusal(pace: Pace, clock: Clock) -> None:
    clock.now += 1000  # without items
    assert await pace.tries_again(REFUSAL, clock.now, 1)
    clock.now += 59
    assert not await pace.tries_again(REFUSAL, clock.now, 10)
    clock.now += 1
    assert not await pace.tries_again(REFUSAL, clock.now, 1)
    pace.answered()
    assert await pace.tries_again(REFUSAL, clock.now, 1)


async def test_a_delay_that_the_refusal_names(pace: Pace, clock: Clock) -> None:
    before = clock.now
    assert await pace.tries_again(status.of_limit("c", "l", "d", 0, 30), clock.now, 1)
    assert clock.now == before + 30
    assert not await pace.tries_again(status.of_limit("c", "l", "d", 0, 61), clock.now, 1)


async def test_an_item_that_may_be_the_cause_is_sent_three_times(pace: Pace, clock: Clock) -> None:
    assert [await pace.tries_again(DEAD, clock.now, tries) for tries in (1, 2, 3)] == [
        True,
        True,
        False,
    ]
    assert not await pace.tries_again(INVALID, clock.now, 1)


async def test_items_wait_for_a_place_in_order() -> None:
    pace, order = Pace(1, 60.0), []

    async def send(name: str) -> None:
        async with pace.place():
            order.append(name)
            await asyncio.sleep(0)
            order.append(name)

    tasks = [asyncio.create_task(send(name)) for name in "abcd"]
    await asyncio.sleep(0)
    tasks[1].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert order == [*"aaccdd"]

"""Choice of a replica: distribution, weights, slow start, affinity."""

from collections import Counter
from collections.abc import Sequence
from hashlib import blake2b
from random import Random
from typing import Any

import pytest
from orjson import Fragment

from penstock_server.fleet import Affinity, affinity
from penstock_server.fleet.balancing import least_loaded
from penstock_server.fleet.load import Load
from penstock_server.upstream import Call

NOW = 1000.0


class Stub:
    """A stand-in for a replica."""

    def __init__(
        self, name: str, outstanding: int = 0, full_weight: float = 1, came: float = 0
    ) -> None:
        self.name = name
        self.identity = blake2b(name.encode()).digest()
        self.load = Load(full_weight, came, 10)
        self.load.outstanding = outstanding


def stubs(count: int, **known: Any) -> list[Stub]:
    return [Stub(f"replica-{number}", **known) for number in range(count)]


def shares(replicas: Sequence[Stub], calls: int = 6000, now: float = NOW) -> list[float]:
    """Returns the share of calls that each replica gets while all are idle."""
    chance = Random(1)
    counted = Counter(least_loaded(replicas, now, chance).name for _ in range(calls))
    return [counted[replica.name] / calls for replica in replicas]


def filled(replicas: Sequence[Stub], calls: int, now: float = NOW) -> list[int]:
    """Returns the number of calls that each replica gets if calls do not end."""
    chance = Random(1)
    for _ in range(calls):
        least_loaded(replicas, now, chance).load.outstanding += 1
    return [replica.load.outstanding for replica in replicas]


def test_the_least_busy() -> None:
    replicas = stubs(3)
    replicas[0].load.outstanding, replicas[1].load.outstanding, replicas[2].load.outstanding = (
        2,
        1,
        3,
    )
    assert shares(replicas, 10) == [0, 1, 0]


def test_ties_are_broken_at_random() -> None:
    assert shares(stubs(3)) == pytest.approx([1 / 3] * 3, abs=0.03)
    assert shares(stubs(3, outstanding=4)) == pytest.approx([1 / 3] * 3, abs=0.03)


def test_many_calls_are_spread_evenly() -> None:
    assert filled(stubs(3), 300) == [100, 100, 100]


def test_weights_apply_to_many_calls_and_to_few() -> None:
    def weighted() -> list[Stub]:
        return [Stub("light"), Stub("heavy", full_weight=3)]

    assert filled(weighted(), 400) == [100, 300]
    assert shares(weighted()) == pytest.approx([0.25, 0.75], abs=0.03)


def test_slow_start() -> None:
    old, new = Stub("old"), Stub("new", came=NOW)
    given = [shares([old, new], now=NOW + passed)[1] for passed in (0, 2.5, 5, 10)]
    assert given == pytest.approx([1 / 11, 1 / 5, 1 / 3, 1 / 2], abs=0.03)
    assert filled([old, new], 150, NOW + 5) == [100, 50]


@pytest.mark.parametrize(("passed", "expected"), [(0, 0.1), (0.5, 0.1), (5, 0.5), (10, 1), (99, 1)])
def test_ramp(passed: float, expected: float) -> None:
    assert Load(1, NOW, 10).weight(NOW + passed) == expected


def test_no_slow_start() -> None:
    assert Load(1, NOW, 0).weight(NOW) == 1


# Affinity


KEYS = [f"key-{number}".encode() for number in range(2000)]


def homes(replicas: Sequence[Stub]) -> list[str]:
    return [affinity.preferred(replicas, key, NOW).name for key in KEYS]


def test_a_key_stays_on_its_replica() -> None:
    replicas = stubs(4)
    assert homes(replicas) == homes(list(reversed(replicas)))
    assert homes(replicas) == homes(stubs(4))


def test_keys_are_spread_by_weight() -> None:
    counted = Counter(homes([Stub("light"), Stub("heavy", full_weight=3)]))
    assert counted["heavy"] / len(KEYS) == pytest.approx(0.75, abs=0.03)


def test_only_the_keys_of_a_removed_replica_move() -> None:
    replicas = stubs(4)
    before, after = homes(replicas), homes(replicas[:3])
    for home, now in zip(before, after, strict=True):
        assert now == home or home == "replica-3"
    counted = Counter(now for home, now in zip(before, after, strict=True) if home == "replica-3")
    assert sum(counted.values()) / len(KEYS) == pytest.approx(1 / 4, abs=0.03)
    assert min(counted.values()) > 100  # and to all others


def test_affinity_does_not_overload_a_replica() -> None:
    replicas = stubs(4)
    for _ in range(400):
        affinity.preferred(replicas, b"the same for all", NOW).load.outstanding += 1
    given = sorted(replica.load.outstanding for replica in replicas)
    assert given[-1] <= 1.25 * 400 / 4 + 1
    assert given[-2] > 100  # the next in order takes the excess


def test_a_returning_replica_regains_its_keys_gradually() -> None:
    old, new = Stub("old", outstanding=50), Stub("new", came=NOW, outstanding=5)
    key = next(
        k for k in KEYS if affinity.preferred([Stub("old"), Stub("new")], k, NOW).name == "new"
    )
    assert affinity.preferred([old, new], key, NOW + 0.5).name == "new"
    new.load.outstanding = 8
    assert affinity.preferred([old, new], key, NOW + 0.5).name == "old"
    assert affinity.preferred([old, new], key, NOW + 5).name == "new"


CHAT = {"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "?"}]}


def call(**chosen: str) -> Call:
    return Call(request_id="r", **chosen)  # type: ignore[arg-type]


def prefix_key(body: dict[str, Any] | None, **chosen: str) -> bytes:
    return affinity.key(Affinity.PREFIX, call(**chosen), body)


def test_keys_that_the_caller_chooses() -> None:
    assert affinity.key(Affinity.SESSION, call(session_id="s-1"), CHAT) == b"s-1"
    both = call(session_id="s-1", prompt_cache_key="k-1")
    assert affinity.key(Affinity.SESSION, both, CHAT) == b"k-1"
    assert affinity.key(Affinity.SESSION, call(), CHAT) == b""
    assert affinity.key(Affinity.NONE, both, CHAT) == b""
    assert prefix_key(CHAT, session_id="s-1") == b"s-1"


def test_a_long_key_is_not_read_for_each_replica() -> None:
    keys = {
        affinity.key(Affinity.SESSION, call(prompt_cache_key="k" * 10**6 + end), CHAT)
        for end in "aab"
    }
    assert len(keys) == 2
    assert max(map(len, keys)) < 1024


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ({"prompt": "a" * 1024 + "b"}, {"prompt": "a" * 1024 + "c"}, True),
        ({"prompt": "b" + "a" * 1024}, {"prompt": "c" + "a" * 1024}, False),
        ({"prompt": [1, 2] * 600}, {"prompt": [1, 2] * 700}, True),
        ({"prompt": [1, 2]}, {"prompt": [1, 3]}, False),
        ({"input": ["x"]}, {"input": ["y"]}, False),
        ({**CHAT, "seed": 1}, {**CHAT, "seed": 2}, True),
        (CHAT, {"messages": [{**CHAT["messages"][0], "content": "Be long."}]}, False),
        (CHAT, {"messages": [*CHAT["messages"], {"role": "assistant", "content": "!"}]}, True),
        (CHAT, {"messages": [CHAT["messages"][0], {"role": "user", "content": "!"}]}, False),
        (CHAT, {**CHAT, "tools": [{"function": {"name": "f"}}]}, False),
        ({**CHAT, "tools": [Fragment("{}")]}, {**CHAT, "tools": [Fragment("{}")]}, True),
        ({**CHAT, "tools": [Fragment("{}")]}, {**CHAT, "tools": [Fragment("[]")]}, False),
        ({"input": CHAT["messages"]}, {"input": [*CHAT["messages"], {"type": "reasoning"}]}, True),
        ({"input": "x", "instructions": "a"}, {"input": "x", "instructions": "b"}, False),
        (
            {"messages": [{"role": "user", "content": "a" * 1024 + "b"}]},
            {"messages": [{"role": "user", "content": "a" * 1024 + "c"}]},
            True,
        ),
    ],
)
def test_prefix_as_key(one: dict[str, Any], other: dict[str, Any], alike: bool) -> None:
    first, second = map(prefix_key, (one, other))
    assert first
    assert (first == second) is alike


def test_forms_have_no_prefix() -> None:
    assert prefix_key(None) == b""
    assert prefix_key(None, session_id="s") == b"s"


def test_a_long_prompt_is_not_read_completely() -> None:
    class Endless(list[Any]):
        def __iter__(self) -> Any:
            while True:
                yield "more"

    key = prefix_key({"messages": [{"role": "user", "content": Endless()}]})
    assert len(key) == 1024 + len("\0\0")

"""The targets of `make fuzz`, with captured inputs and with changed bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from .profile import examples
from .targets import TARGETS, run

every_target = pytest.mark.parametrize("name", TARGETS)


@pytest.fixture
def seeds(name: str) -> list[bytes]:
    """The initial inputs of a target."""
    return list(TARGETS[name][1]())


@every_target
def test_as_captured(name: str, seeds: list[bytes]) -> None:
    assert len(seeds) > 3
    for seed in seeds:
        run(name, seed)


@every_target
@examples(75)
@given(data=st.data())
def test_with_bytes_changed(name: str, seeds: list[bytes], data: st.DataObject) -> None:
    changed = bytearray(data.draw(st.sampled_from(seeds)))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(changed)))
        changed[at : at + data.draw(st.integers(0, 4))] = data.draw(st.binary(max_size=4))
    run(name, bytes(changed))

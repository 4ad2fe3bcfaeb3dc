"""What a run measures, and which failures end it."""

import pytest

from bench import run, scenarios, servers
from bench.load import LoadFailed

UNARY, RERANK = (next(s for s in scenarios.ALL if s.name == name) for name in ("unary", "rerank"))


def test_rows_of_options_and_of_workers_have_their_scenarios() -> None:
    for row in (*servers.OPTIONS, servers.with_workers(2)):
        assert run.takes_part(row, UNARY)
        assert not run.takes_part(row, RERANK)


def test_peers_are_measured_only_where_all_of_them_serve_it() -> None:
    assert all(run.takes_part(row, UNARY) for row in servers.PEERS)
    assert not any(run.takes_part(row, RERANK) for row in servers.PEERS)


def test_the_run_continues_without_a_peer_that_fails() -> None:
    failed: dict[str, str] = {}
    with run.recorded(servers.SMG, "smg, a chat", failed):
        raise LoadFailed("usage\nunknown option")
    assert failed == {"smg, a chat": "unknown option"}


def test_a_failure_of_another_server_ends_the_run() -> None:
    with pytest.raises(LoadFailed), run.recorded(servers.PENSTOCK, "Penstock", {}):
        raise LoadFailed("gone")

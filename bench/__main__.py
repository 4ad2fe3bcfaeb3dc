"""The command line of the benchmark, which `make bench` and related targets run."""

import argparse
import json
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench import (
    conditions,
    evenness,
    guard,
    instructions,
    log_line,
    measure,
    plot,
    process,
    releases,
    report,
    run,
    scenarios,
    servers,
)
from bench.check import WrongContent
from bench.load import LoadFailed
from bench.measure import Measurement
from bench.report import Report
from bench.servers import ROOT, Row
from bench.show import say
from bench.stats import Results

RESULTS = process.BUILD / "results.json"
PAGE = ROOT / "docs" / "performance.md"
SIZING = ROOT / "docs" / "sizing.md"


def main() -> int:
    """Runs a command and returns the exit code."""
    parsed = _parser().parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        code: int = parsed.run(parsed)
    except (LoadFailed, WrongContent, OSError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    commands = parser.add_subparsers(required=True)
    runs = commands.add_parser("run", help="measure, then write the report")
    runs.add_argument("--repeats", type=int, default=3)
    runs.add_argument("--budget", type=float, default=510.0, help="seconds")
    runs.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10_000))
    runs.add_argument("--peers", action="store_true", help="with vllm-router, smg and LiteLLM")
    runs.add_argument("--options", action="store_true", help="with options of Penstock")
    runs.add_argument("--workers", type=_numbers, default=(), help="such as 1,2,4")
    runs.add_argument("--scenarios", type=_names, default=())
    runs.add_argument("--rows", type=_names, default=())
    runs.add_argument("--dry", action="store_true", help="leave docs/ as they are")
    runs.set_defaults(run=_run)
    writes = commands.add_parser("report", help="write the report of the last run again")
    writes.add_argument("--dry", action="store_true", help="print it; leave docs/ as they are")
    writes.set_defaults(run=lambda parsed: _write(_load(RESULTS), dry=parsed.dry))
    guards = commands.add_parser("guard", help="the bounded form, for continuous integration")
    guards.set_defaults(run=_guard)
    compares = commands.add_parser("releases", help="compare releases of grpcio")
    compares.add_argument("releases", nargs="+", metavar="RELEASE")
    compares.add_argument("--repeats", type=int, default=5)
    compares.add_argument("--budget", type=float, default=300.0, help="seconds")
    compares.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10_000))
    compares.set_defaults(run=_releases)
    counts = commands.add_parser("evenness", help="count the calls of each worker")
    counts.add_argument("--workers", type=_numbers, default=(2, 4))
    counts.add_argument("--connections", type=_numbers, default=(2, 4, 8, 16, 64, 256))
    counts.add_argument("--repeats", type=int, default=20)
    counts.set_defaults(run=_evenness)
    lines = commands.add_parser("log-line", help="measure the log line of a call")
    lines.set_defaults(run=_log_line)
    stores = commands.add_parser("baseline", help="store the instructions of the conversions")
    stores.set_defaults(run=_baseline)
    return parser


def _run(parsed: argparse.Namespace) -> int:
    rows = _rows(parsed)
    chosen = [s for s in scenarios.ALL if not parsed.scenarios or s.name in parsed.scenarios]
    known, started = conditions.before(), time.monotonic()
    failed: dict[str, str] = {}
    document: dict[str, Any] = {"conditions": known, "taken": []}
    try:
        repeats, budget, seed = parsed.repeats, parsed.budget, parsed.seed
        for group in run.run(rows, chosen, repeats, budget, seed, failed=failed):
            document["taken"] += [one.document() for one in group]
    finally:
        # Even the results of an aborted run, for `report`.
        windows = _repeats(document["taken"])
        known |= conditions.after(windows, parsed.seed, time.monotonic() - started)
        known |= {f"failed, {what}": why for what, why in failed.items()}
        RESULTS.write_text(json.dumps(document))
    return _write(document, dry=parsed.dry)


def _repeats(taken: Sequence[Mapping[str, Any]]) -> str:
    """Returns the number of windows per cell: "3", or "2 to 3" if the time ran out."""
    windows = Counter((one["scenario"], one["row"]) for one in taken).values()
    fewest, most = min(windows, default=0), max(windows, default=0)
    return str(most) if fewest == most else f"{fewest} to {most}"


def _rows(parsed: argparse.Namespace) -> list[Row]:
    rows = list(servers.COMPARED if parsed.peers else servers.USUAL)
    rows += servers.OPTIONS if parsed.options else ()
    rows += [servers.with_workers(count) for count in parsed.workers]
    return [row for row in rows if not parsed.rows or row.name in parsed.rows]


def _write(document: Mapping[str, Any], *, dry: bool) -> int:
    made = _report(document)
    generated = made.markdown()
    if dry:
        print(generated)
        return 0
    report.write(PAGE, generated)
    made.write_sizing(SIZING)
    PAGE.with_name(report.PLOT).write_text(plot.svg(made))
    print(generated)
    say(f"written to {PAGE.relative_to(ROOT)}")
    return 0


def _report(document: Mapping[str, Any]) -> Report:
    taken: Sequence[Measurement] = [measure.of_document(one) for one in document["taken"]]
    measured = {(one.scenario, one.row) for one in taken}
    possible = [
        *servers.COMPARED,
        *servers.OPTIONS,
        *map(servers.with_workers, range(1, 129)),
    ]
    rows = [row for row in possible if any(name == row.name for _, name in measured)]
    chosen = [s for s in scenarios.ALL if any(name == s.name for name, _ in measured)]
    return Report(Results(taken), rows, chosen, document["conditions"])


def _load(path: Path) -> Mapping[str, Any]:
    document: Mapping[str, Any] = json.loads(path.read_text())
    return document


def _releases(parsed: argparse.Namespace) -> int:
    print(releases.compare(parsed.releases, parsed.repeats, parsed.budget, parsed.seed))
    return 0


def _evenness(parsed: argparse.Namespace) -> int:
    print(evenness.compare(parsed.workers, parsed.connections, parsed.repeats, 1.0, 20.0))
    return 0


def _log_line(parsed: argparse.Namespace) -> int:
    print(f"{log_line.nanoseconds():.0f} ns for each line")
    return 0


def _guard(parsed: argparse.Namespace) -> int:
    failures = guard.guard(random.SystemRandom().randrange(10_000))
    for line in failures:
        print(f"bench: {line}", file=sys.stderr)
    if not failures:
        print(guard.RESULT.read_text(), end="")
    return 1 if failures else 0


def _baseline(parsed: argparse.Namespace) -> int:
    counts = instructions.count()
    instructions.store(counts)
    print(json.dumps(counts, indent=2, sort_keys=True))
    return 0


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(",") if part)


def _names(text: str) -> tuple[str, ...]:
    return tuple(part for part in text.split(",") if part)


if __name__ == "__main__":
    sys.exit(main())

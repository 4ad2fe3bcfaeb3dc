"""The bounded form for continuous integration, with loose bounds to avoid false alarms.

Every answer of every scenario is checked. The costs must stay below twice the targets; a cost above
that is measured once more before it counts. The instructions of the conversions are compared with
the stored baseline.
"""

import json
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path

from bench import instructions, process, run, scenarios, selftest, targets
from bench.measure import Measurement
from bench.scenarios import Scenario
from bench.servers import DIRECT, ENVOY, NOOP, PENSTOCK, Row
from bench.show import say
from bench.stats import Results

SLACK = 2.0
RESULT = process.BUILD / "guard.json"
_BUDGET_S = 120.0
_TIMES_THE_NOOP = 4.0

# In addition to Penstock, which is in every scenario.
_COMPARED: Mapping[str, Sequence[Row]] = {
    "unary": (NOOP,),
    "paced": (NOOP,),
    "embed-64x4096": (ENVOY,),
    "first": (DIRECT, NOOP),
}


def takes_part(row: Row, scenario: Scenario) -> bool:
    """Returns whether a server is measured in a scenario."""
    return row == PENSTOCK or row in _COMPARED.get(scenario.name, ())


def guard(seed: int, result: Path = RESULT) -> list[str]:
    """Runs every check, prints the checks, and returns the failures.

    Raises:
        LoadFailed: a tool is missing, or a part did not start.
        WrongContent: an answer is wrong.
    """
    result.unlink(missing_ok=True)
    failures = selftest.unnoticed()
    taken = _measured(scenarios.ALL, seed)
    failures += content_failures(taken)
    again = {target.scenario for target in targets.ALL if exceeds(Results(taken), target)}
    if again:
        say(f"over the bounds, measured once more: {', '.join(sorted(again))}")
        second = _measured([s for s in scenarios.ALL if s.name in again], seed + 1)
        taken = [one for one in taken if one.scenario not in again] + second
        failures += content_failures(second)
    failures += [line for target in targets.ALL if (line := exceeds(Results(taken), target))]
    counts = instructions.count()
    failures += instructions.regressions(counts, instructions.baseline())
    result.write_text(json.dumps(_summary(taken, counts, failures), indent=2) + "\n")
    return failures


def content_failures(taken: Sequence[Measurement]) -> list[str]:
    """Returns a line for each window in which calls failed, or without answers."""
    lines = []
    for one in taken:
        if one.errors:
            lines.append(f"{one.scenario} on {one.row}: {dict(one.window.errors)}")
        elif not one.units:
            lines.append(f"{one.scenario} on {one.row}: no answers")
    return lines


def exceeds(results: Results, target: targets.Target) -> str:
    """Returns a line if a target is missed even with the slack; empty if not, or not measured.

    A time does not count as missed on a machine so busy that even the no-op comes near it.
    """
    value = target.measured(results)
    if value is None or target.verdict(results, SLACK) != "not met":
        return ""
    nothing = target.value(results, "noop") if target.is_time else None
    if nothing is not None and value <= nothing * _TIMES_THE_NOOP:
        return ""
    return f"{target.title}: {value:.2f}{target.unit}, bound {target.bound * SLACK:g}{target.unit}"


def _measured(chosen: Sequence[Scenario], seed: int) -> list[Measurement]:
    rows = (DIRECT, ENVOY, NOOP, PENSTOCK)
    return list(chain.from_iterable(run.run(rows, chosen, 1, _BUDGET_S, seed, takes_part)))


def _summary(
    taken: Sequence[Measurement], counts: Mapping[str, int], failures: Sequence[str]
) -> dict[str, object]:
    results = Results(taken)
    measured = {target.title: target.measured(results) for target in targets.ALL}
    return {
        "scenarios": sorted({one.scenario for one in taken}),
        "calls": sum(one.window.calls for one in taken),
        "targets": {title: value for title, value in measured.items() if value is not None},
        "instructions": dict(counts),
        "failures": list(failures),
    }

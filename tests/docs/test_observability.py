"""docs/observability.md: its tables name every metric and every event."""

from pathlib import Path

from penstock_server.telemetry.events import EVENTS, Event
from penstock_server.telemetry.metrics.names import GEN_AI_NEW, METRICS, Metric

PAGE = (Path(__file__).parents[2] / "docs" / "observability.md").read_text("utf-8")


def row(metric: Metric) -> str:
    labels = ", ".join(f"`{label}`" for label in metric.labels)
    more = f" Only with `{metric.optional}`." if metric.optional else ""
    return f"| `{metric.name}` | {metric.kind} | {labels} | {metric.help}{more} |"


def section(heading: str) -> list[str]:
    """The rows of the table below a heading."""
    _, _, after = PAGE.partition(f"\n### {heading}\n")
    text, _, _ = after.partition("\n#")
    return [line for line in text.splitlines() if line.startswith("| `")]


def test_every_metric() -> None:
    for heading, metrics in METRICS.items():
        rows = [row(metric) for metric in metrics]
        assert section(heading) == rows, "the table is to be\n" + "\n".join(rows)


def test_every_metric_of_the_new_conventions() -> None:
    rows = [row(metric) for metric in GEN_AI_NEW if metric not in METRICS["Generative AI"]]
    assert section("Names of the new conventions") == rows, "\n".join(rows)


def event_row(event: Event) -> str:
    fields = [f"`{name}`" for name in event.fields] + [event.others] * bool(event.others)
    return f"| `{event.name}` | {event.level} | {', '.join(fields)} | {event.meaning} |"


def test_every_event() -> None:
    rows = [event_row(event) for event in EVENTS.values()]
    assert section("Events") == rows, "the table is to be\n" + "\n".join(rows)

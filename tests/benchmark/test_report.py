"""The generated part of the page, and the plot."""

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from bench import measure, plot, report, scenarios, servers
from bench.measure import Measurement
from bench.report import Report
from bench.stats import Results

from .measurements import measurement

UNARY, PACED = (next(s for s in scenarios.ALL if s.name == name) for name in ("unary", "paced"))


def a_report(*more: Measurement) -> Report:
    costs = {
        "direct": 8.0,
        "envoy": 70.0,
        "noop": 250.0,
        "noop-uvloop": 300.0,
        "penstock": 450.0,
        "again": 460.0,
    }
    taken = [measurement("unary", row, cost) for row, cost in costs.items()]
    conditions = {"commit": "abc"}
    return Report(Results([*taken, *more]), servers.USUAL, [UNARY, PACED], conditions)


def test_every_part_is_present() -> None:
    text = a_report().markdown()
    assert "- commit: abc" in text
    assert "| CPU of a unary chat, to the no-op's | ≤ 2x | 1.82x | met |" in text
    cpu = next(line for line in text.splitlines() if line.startswith("| chat, 16 in flight, per"))
    assert cpu.split(" | ")[1:8] == ["8.00", "70.0", "250", "300", "450", "460", "2 %"]
    assert "Envoy hop < no-op grpc.aio < no-op on uvloop < Penstock |" in cpu
    assert "None in 6,000 calls." in text


def test_the_first_sentence_is_what_a_core_serves() -> None:
    taken = [measurement("paced", row, 100, chunks=1000) for row in ("penstock", "again")]
    first = a_report(*taken).markdown().partition("\n")[0]
    # Of chats at 455 µs and chunks at 100 µs.
    assert "about 2,200 chats a second" in first
    assert "100 streams of 100 tokens a second each (400 streams of 25)" in first


def test_other_servers_are_multiples_of_penstock() -> None:
    text = a_report().markdown().partition("## Next to other servers")[2]
    assert "| no-op grpc.aio | 250 (0.55x) | - | - |" in text
    assert "| Penstock | 455 | - | - |" in text


def test_options_and_workers_are_compared_with_penstock() -> None:
    taken = [measurement("unary", row, 910) for row in ("tls", "workers-2")]
    rows = [*servers.USUAL, *servers.OPTIONS, servers.with_workers(2)]
    shown = Report(Results([*a_report().results.taken, *taken]), rows, [UNARY, PACED], {})
    text = shown.markdown()
    assert "| Penstock, TLS | 910 (+100 %) | - |" in text.partition("## What options cost")[2]
    assert "| Penstock, 2 workers | 910 (+100 %) | - |" in text.partition("## Workers")[2]
    assert "Penstock, TLS" not in text.partition("## All figures")[2]
    assert "## Workers" not in a_report().markdown()


def test_figures_of_the_sizing_page_are_replaced(tmp_path: Path) -> None:
    page = tmp_path / "sizing.md"
    page.write_text(
        "| chat, 16 in flight, per call | 1 | 2 calls |\n| chat, 16 in flight | 3 |\n"
        "| other | 4 |\n"
    )
    a_report().write_sizing(page)
    assert page.read_text() == (
        "| chat, 16 in flight, per call | 450 | 2,220 calls |\n| chat, 16 in flight | 50.0 |\n"
        "| other | 4 |\n"
    )


def test_errors_are_listed() -> None:
    text = a_report(measurement("paced", "penstock", 100, errors={"cut": 7})).markdown()
    errors = text.partition("### Errors")[2]
    assert "None" not in errors
    assert "7.00" in errors


def test_only_text_between_the_markers_is_replaced(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"above\n{report.BEGIN}\nold\n{report.END}\nbelow\n")
    report.write(page, "new")
    assert page.read_text() == f"above\n{report.BEGIN}\n\nnew\n\n{report.END}\nbelow\n"
    report.write(page, "newer")
    assert "new\n" not in page.read_text()


def test_a_page_without_markers_is_unchanged(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("no markers")
    with pytest.raises(ValueError, match="no markers"):
        report.write(page, "new")
    assert page.read_text() == "no markers"


def test_the_plot_has_a_dot_for_each_value() -> None:
    root = ET.fromstring(plot.svg(a_report()))
    space = "{http://www.w3.org/2000/svg}"
    dots = [c for c in root.iter(f"{space}circle") if c.find(f"{space}title") is not None]
    assert len(dots) == 6
    places = [float(dot.attrib["cx"]) for dot in dots]
    assert places == sorted(places)


def test_measurements_survive_the_results_file() -> None:
    taken = measurement("unary", "penstock", 123, errors={"x": 1})
    assert measure.of_document(taken.document()) == taken


def test_the_page_has_its_markers() -> None:
    page = (servers.ROOT / "docs" / "performance.md").read_text()
    assert page.count(report.BEGIN) == page.count(report.END) == 1

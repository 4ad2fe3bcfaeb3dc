"""docs/configuration.md: its example is valid, and its tables list every option and key."""

import argparse
from pathlib import Path

import pytest

from docs.markdown import blocks
from penstock_server.configuration import CallerTable, Settings, UpstreamTable, upstream_configs
from penstock_server.option_list import OptionList
from penstock_server.options import options
from website.reference.configuration import PAGES, with_tables

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "configuration.md").read_text("utf-8")
PEM = ROOT / "tests" / "client" / "tls"


def test_the_example(tmp_path: Path) -> None:
    (example,) = blocks(PAGE, "toml")
    for name, content in {
        "vllm-key": b"sk-1",
        "ca.pem": (PEM / "cert.pem").read_bytes(),
        "client.pem": (PEM / "cert.pem").read_bytes() + (PEM / "key.pem").read_bytes(),
    }.items():
        (tmp_path / name).write_bytes(content)
    file = tmp_path / "penstock.toml"
    file.write_text(example.replace("/etc/penstock", str(tmp_path)))
    known = OptionList(Settings, "PENSTOCK_")
    parser = argparse.ArgumentParser()
    known.add_to(parser)
    settings = known.load(parser.parse_args(["--config", str(file)]), {})
    configs = {config.name: config for config in upstream_configs(settings)}
    assert configs["chat-a"].api_key == "sk-1"
    assert configs["/run/vllm/embed.sock"].url == "unix:///run/vllm/embed.sock"
    assert settings.aliases["gpt-4o"] in configs["chat-a"].models


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_the_tables(path: Path) -> None:
    page = path.read_text("utf-8")
    assert with_tables(page) == page, "run: make generate"


def test_every_option_has_a_row() -> None:
    rows = [line for line in with_tables(PAGE).splitlines() if line.startswith("| `")]
    assert [row.split("`")[1] for row in rows] == [*options(UpstreamTable), *options(Settings)]
    callers = (ROOT / "docs" / "authentication.md").read_text("utf-8")
    assert all(f"| `{name}` | `" in callers for name in options(CallerTable))
    (limit,) = [row for row in rows if row.startswith("| `idle_timeout` | `SECONDS` | `300")]
    assert "Longest wait between two events" in limit

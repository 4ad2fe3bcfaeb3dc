"""docs/configuration.md: its example is valid, and its tables list every option and key."""

import argparse
from pathlib import Path

from docs.markdown import blocks
from penstock_server.configuration import Settings, UpstreamTable, upstream_configs
from penstock_server.option_list import OptionList
from penstock_server.options import Option, options

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "configuration.md").read_text("utf-8")
PEM = ROOT / "tests" / "client" / "tls"


def option_row(name: str, known: Option) -> str:
    needs = "" if known.live else "at a start"
    return f"| `{name}` | `{known.metavar}` | {known.help} | {needs} |"


def key_row(name: str, known: Option) -> str:
    return f"| `{name}` | `{known.metavar}` | {known.help} |"


def table_row(row: str) -> str:
    """Returns a row of a table in Markdown, with escaped bars within cells."""
    begin, *cells, end = row.split(" | ")
    return " | ".join([begin, *(cell.replace("|", "\\|") for cell in cells), end])


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


def test_every_option() -> None:
    rows = [table_row(option_row(*item)) for item in options(Settings).items()]
    listed = [line for line in PAGE.splitlines() if line in rows]
    assert listed == rows, "the table must be\n" + "\n".join(rows)


def test_every_key() -> None:
    rows = [table_row(key_row(*item)) for item in options(UpstreamTable).items()]
    listed = [line for line in PAGE.splitlines() if line in rows]
    assert listed == rows, "the table must be\n" + "\n".join(rows)

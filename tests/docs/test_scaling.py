"""docs/scaling.md: each configuration on it is usable."""

import argparse
from pathlib import Path

import pytest

from docs.markdown import blocks
from penstock_server.configuration import Settings, upstream_configs
from penstock_server.option_list import OptionList

PAGE = (Path(__file__).parents[2] / "docs" / "scaling.md").read_text("utf-8")
EXAMPLES = blocks(PAGE, "toml")


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_examples(example: str, tmp_path: Path) -> None:
    file = tmp_path / "penstock.toml"
    file.write_text(example)
    known = OptionList(Settings, "PENSTOCK_")
    parser = argparse.ArgumentParser()
    known.add_to(parser)
    settings = known.load(parser.parse_args(["--config", str(file)]), {})
    assert [config.name for config in upstream_configs(settings)] == [
        line.split('"')[1] for line in example.splitlines() if line.startswith("name")
    ]


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 3

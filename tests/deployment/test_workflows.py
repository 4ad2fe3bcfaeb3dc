"""The workflows of GitHub: a linter accepts them, and they run commands that exist."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
GITHUB = ROOT / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
COMMANDS = [
    step["run"]
    for workflow in WORKFLOWS
    for job in yaml.safe_load(workflow.read_text("utf-8"))["jobs"].values()
    for step in job["steps"]
    if "run" in step
]
CI_RUN = (ROOT / ".ci" / "run").read_text("utf-8")
TARGETS = re.compile(r"^make ([a-z-]+)", re.MULTILINE)


# Tiers that find something new on each run, or compare with the speed of a machine.
NOT_ON_EVERY_CHANGE = {"fuzz", "bench-guard"}


def test_actionlint() -> None:
    actionlint = Path(sys.executable).with_name("actionlint")
    found = subprocess.run([actionlint], cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout


def test_the_commands_exist() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    called = {target for command in COMMANDS for target in TARGETS.findall(command)}
    assert called <= set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))


def test_every_tier_runs_on_a_change() -> None:
    tiers = re.findall(r"^(?:PYTEST_ADDOPTS=\S+ )?make ([a-z-]+)", CI_RUN, re.MULTILINE)
    assert len(tiers) > 6
    called = {target for command in COMMANDS for target in TARGETS.findall(command)}
    assert set(tiers) - called == NOT_ON_EVERY_CHANGE


def test_forms() -> None:
    for file in (GITHUB / "ISSUE_TEMPLATE").glob("*.yml"):
        form: dict[str, Any] = yaml.safe_load(file.read_text("utf-8"))
        assert file.name == "config.yml" or {"name", "description", "body"} <= form.keys()
    updates = yaml.safe_load((GITHUB / "dependabot.yml").read_text("utf-8"))["updates"]
    for update in updates:
        for folder in update.get("directories", [update.get("directory")]):
            assert (ROOT / folder.strip("/")).is_dir()


def test_dependencies_of_every_example_are_updated() -> None:
    updates = yaml.safe_load((GITHUB / "dependabot.yml").read_text("utf-8"))["updates"]
    [npm] = (one for one in updates if one["package-ecosystem"] == "npm")
    examples = (ROOT / "examples").glob("*/package.json")
    assert sorted(npm["directories"]) == sorted(f"/examples/{one.parent.name}" for one in examples)

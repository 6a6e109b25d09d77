"""docs/raft.md says nothing that is not there: every test, script, mutation, file and invariant that it names exists, and
none of the sixty scenarios and thirty-four bugs is missing."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from tests.mutations.__main__ import load
from tests.raft.script import scripts

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/raft.md").read_text()
SCENARIOS = [f"S{number:02}" for number in range(1, 61)]
BUGS = [f"B{number:02}" for number in range(1, 35)]


@cache
def named_tests() -> frozenset[str]:
    """The names of all tests of the project: functions, state machines, and golden scripts by their file."""
    named = re.compile(r"^\s*(?:async )?def (test_\w+)|^(Test\w+)\s*=", re.MULTILINE)
    found = {path.stem for path in scripts()}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        found.update(function or machine for function, machine in named.findall(path.read_text()))
    return frozenset(found)


@cache
def invariants() -> frozenset[str]:
    """The rule of every invariant that stops a node or a simulation."""
    rules = set()
    for path in sorted((ROOT / "swarmtui").rglob("*.py")):
        for call in [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]:
            name = getattr(call.func, "id", "")
            position = {"require": 1, "InvariantViolation": 0}.get(name)
            if position is not None and len(call.args) > position and isinstance(call.args[position], ast.Constant):
                rules.add(call.args[position].value)
    return frozenset(rules)


def rows(prefix: str) -> dict[str, list[str]]:
    """The rows of a table whose first cell is such a number, as cells."""
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in PAGE.splitlines()]
    return {row[0]: row[1:] for row in cells if re.fullmatch(prefix + r"\d\d", row[0])}


def quoted(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


@pytest.mark.parametrize("name", sorted(set(quoted(PAGE))))
def test_what_the_page_names_exists(name):
    if name.startswith("python -m "):
        module = name.split()[2].replace(".", "/")
        assert (ROOT / module / "__main__.py").exists()
    elif "/" in name:
        assert (ROOT / name).exists() or (ROOT / "swarmtui" / name).exists()
    elif re.fullmatch(r"HardState", name):
        assert name in (ROOT / "swarmtui/raft/effects.py").read_text()
    else:
        mutations = {mutation.name for mutation in load()}
        assert name in named_tests() | invariants() | mutations


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_scenario_is_tested_under_its_name(scenario):
    named = [name for name in named_tests() if re.match(rf"(test_)?{scenario}_", name)]
    row = rows("S").get(scenario)
    assert row, f"docs/raft.md has no row for {scenario}"
    assert sorted(quoted(row[1])) == sorted(named), "the row names exactly the tests of its number"


@pytest.mark.parametrize("bug", BUGS)
def test_bug_has_its_line(bug):
    what, excluded = rows("B")[bug]
    assert what
    assert excluded


def test_mutations_of_a_scenario_stand_in_its_row():
    named = {number: sorted(quoted(row[2])) for number, row in rows("S").items() if row[2]}
    planted: dict[str, list[str]] = {}
    for mutation in load():
        if re.match(r"S\d\d-", mutation.name):
            planted.setdefault(mutation.name[:3], []).append(mutation.name)
    assert named == {number: sorted(names) for number, names in planted.items()}

"""The tables of planted bugs are in order: every text is there to be replaced, every test to turn red."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.mutations.__main__ import load

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("mutation", load(), ids=lambda mutation: mutation.name)
def test_mutation_can_be_planted(mutation):
    assert (ROOT / mutation.file).read_text().count(mutation.old) == 1
    assert mutation.old != mutation.new
    for test in mutation.tests:
        assert (ROOT / test.split("::")[0]).exists()


def test_names_are_unique():
    names = [mutation.name for mutation in load()]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    "mutation", [m for m in load() if re.match(r"S\d\d-", m.name)], ids=lambda mutation: mutation.name
)
def test_mutation_of_a_scenario_names_exactly_its_tests(mutation):
    number = mutation.name[:3]
    for test in mutation.tests:
        assert re.search(rf"::test_{number}_\w+$|::test_script\[{number}_\w+\]$", test)

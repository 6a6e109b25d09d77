"""`python -m tests.mutations [NAME…] [--list]`: plant known bugs, one at a time, and show which test turns red.

Each bug is planted in a temporary copy of the package and its tests, so nothing here is touched. First the same tests run
without any bug: they must be green, so that what turns red later is red because of its bug. Tables are the modules
`*_mutations.py` beside this file, one per room and one of the scenarios of docs/raft.md, which name the one test that must
turn red; each has a tuple MUTATIONS. Exit code 1 if a bug went unnoticed.
"""

from __future__ import annotations

import argparse
import importlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from swarmtui.sim.themes import ATTESTED_FROM
from tests.mutations.mutation import Mutation

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
COPIED = ("swarmtui", "tests", "docs", "pyproject.toml", "cluster.toml", "themes", "README.md", "LICENSE")
TEST_TIMEOUT_S = 180
SIMULATION = {"SWARMTUI_SIM_SEED": str(ATTESTED_FROM), "SWARMTUI_SIM_SEEDS": "2000", "SWARMTUI_SIM_SECONDS": "150"}
"""The same runs every time, of the newest kind: those before know no older directory that is put back."""


def load() -> list[Mutation]:
    """Every mutation of every table, by name of the table, then in its order."""
    found: list[Mutation] = []
    for path in sorted(HERE.glob("*_mutations.py")):
        if not path.name.startswith("test_"):
            found.extend(importlib.import_module(f"tests.mutations.{path.stem}").MUTATIONS)
    return found


def plant(mutation: Mutation, root: Path) -> None:
    """Replace the text in the copy; it must be there exactly once."""
    path = root / mutation.file
    text = path.read_text()
    if text.count(mutation.old) != 1:
        raise SystemExit(f"{mutation.name}: its text occurs {text.count(mutation.old)} times in {mutation.file}")
    path.write_text(text.replace(mutation.old, mutation.new))


@contextmanager
def copied() -> Iterator[Path]:
    """A copy of everything that the tests need, for as long as it is wanted."""
    with tempfile.TemporaryDirectory(prefix="swarmtui-mutation-") as directory:
        copy = Path(directory)
        for name in COPIED:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__", ".*_cache"))
            elif source.exists():
                shutil.copy2(source, copy / name)
        yield copy


def red_test(mutation: Mutation) -> str | None:
    """The first test that turns red with this bug, with its reason; None if all stay green."""
    with copied() as copy:
        plant(mutation, copy)
        return first_failure(copy, mutation.tests)


def red_without_a_bug(mutations: list[Mutation]) -> str | None:
    """The first of all their tests that is red anyway; None if all are green."""
    with copied() as copy:
        for test in dict.fromkeys(test for mutation in mutations for test in mutation.tests):
            red = first_failure(copy, (test,))
            if red:
                return red
    return None


def first_failure(root: Path, tests: tuple[str, ...]) -> str | None:
    """Run these tests there, up to the first failure."""
    environment = os.environ | SIMULATION | {"PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1", "COLUMNS": "400"}
    command = [sys.executable, "-m", "pytest", "-x", "-q", "--tb=short", "-p", "no:cacheprovider", *tests]
    try:
        done = subprocess.run(
            command, cwd=root, env=environment, capture_output=True, text=True, timeout=TEST_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        return f"(the tests ran for more than {TEST_TIMEOUT_S} s)"
    if done.returncode == 0:
        return None
    failed = re.search(r"^(?:FAILED|ERROR) (\S+)(.*)$", done.stdout, re.MULTILINE)
    if failed is None or done.returncode not in (1, 2):
        raise SystemExit(f"pytest could not run {' '.join(tests)}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return failed.group(1) + failed.group(2)[:200]


def chosen(names: list[str]) -> Iterator[Mutation]:
    mutations = load()
    unknown = set(names) - {mutation.name for mutation in mutations}
    if unknown:
        raise SystemExit(f"no mutation named {', '.join(sorted(unknown))}; see --list")
    return (mutation for mutation in mutations if not names or mutation.name in names)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutations", description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these")
    parser.add_argument("--list", action="store_true", help="name them and the rules they break")
    options = parser.parse_args()
    mutations = list(chosen(options.names))
    if options.list:
        for mutation in mutations:
            print(f"{mutation.name}: {mutation.rule}")
        return 0
    red = red_without_a_bug(mutations)
    if red:
        raise SystemExit(f"red without any bug, so nothing can be shown: {red}")
    print(f"all tests of {len(mutations)} mutations are green without a bug", flush=True)
    unnoticed = []
    for mutation in mutations:
        began = time.perf_counter()
        red = red_test(mutation)
        seconds = time.perf_counter() - began
        print(f"{'NOTICED' if red else 'UNNOTICED'} {mutation.name} ({mutation.rule}) in {seconds:.1f} s", flush=True)
        print(f"    {red or 'no test turned red: ' + ' '.join(mutation.tests)}", flush=True)
        if red is None:
            unnoticed.append(mutation.name)
    if unnoticed:
        print(f"unnoticed: {' '.join(unnoticed)}", file=sys.stderr)
    return 1 if unnoticed else 0


if __name__ == "__main__":
    sys.exit(main())

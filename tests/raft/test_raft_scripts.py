"""The golden scripts of `tests/raft/scripts`: see `script.py` for their language, SWARMTUI_REWRITE=1 to write them anew."""

from __future__ import annotations

import os
from itertools import zip_longest

import pytest

from tests.raft.script import run_script, scripts


@pytest.mark.parametrize("path", scripts(), ids=lambda path: path.stem)
def test_script(path):
    text = path.read_text()
    now = run_script(text)
    if os.environ.get("SWARMTUI_REWRITE"):
        path.write_text(now)
    elif now != text:
        pytest.fail(difference(text, now), pytrace=False)


def difference(before: str, after: str) -> str:
    """The first line that is not the same, in one line."""
    pairs = zip_longest(before.splitlines(), after.splitlines(), fillvalue="(nothing)")
    return next(f"line {n}: {old!r} is now {new!r}" for n, (old, new) in enumerate(pairs, start=1) if old != new)

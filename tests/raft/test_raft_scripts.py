"""The golden scripts of `tests/raft/scripts`: see `script.py` for their language, SWARMTUI_REWRITE=1 to write them anew."""

from __future__ import annotations

import os

import pytest

from tests.raft.script import run_script, scripts


@pytest.mark.parametrize("path", scripts(), ids=lambda path: path.stem)
def test_script(path):
    text = path.read_text()
    now = run_script(text)
    if os.environ.get("SWARMTUI_REWRITE"):
        path.write_text(now)
    else:
        assert now == text

"""A long work beside the event loop, in the same interpreter."""

from __future__ import annotations

import time

import pytest

from swarmtui.node.compaction import REST_MAX_S, resting


def test_a_long_work_rests_for_as_long_as_it_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A snapshot of a million keys kept the interpreter for itself: a write waited 150 ms for its dozen system calls."""
    clock = 0.0
    rests: list[float] = []
    monkeypatch.setattr(time, "thread_time", lambda: clock)
    monkeypatch.setattr(time, "sleep", rests.append)
    for step in resting(iter([0.001, 0.002, 1.0])):
        clock += step  # what whoever takes the steps makes of each
    assert rests == pytest.approx([0.001, 0.002, REST_MAX_S])

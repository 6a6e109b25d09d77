"""Five managers as processes, clients on kv, and a nemesis: nothing that was promised is broken.

SWARMTUI_NEMESIS_SECONDS is how long it goes on, SWARMTUI_NEMESIS_SEED what is drawn; a fresh seed is printed.
"""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from tests.nemesis.__main__ import run
from tests.nemesis.storm import StormPlan

SECONDS = float(os.environ.get("SWARMTUI_NEMESIS_SECONDS", "60"))


@pytest.mark.cluster
@pytest.mark.timeout(SECONDS + 400)
def test_history_of_a_tormented_cluster_is_linearizable(tmp_path: Path):
    seed = int(os.environ.get("SWARMTUI_NEMESIS_SEED", random.SystemRandom().randrange(10**6)))
    print(f"\nnemesis seed {seed}; again: python -m tests.nemesis --seed {seed} --seconds {SECONDS:g}")
    summary = run(StormPlan(seed=seed, seconds=SECONDS), tmp_path)
    print(summary)
    assert "undecided" not in summary.judged, summary
    assert sum(summary.faults.values()) >= SECONDS / 15
    assert len(summary.record.answered_at) > 10 * SECONDS / 5, "hardly anything was written"

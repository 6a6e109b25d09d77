"""Raft imports nothing of the project, so it cannot take its names from the protocol: they are compared here."""

from __future__ import annotations

import pytest

from swarmtui.raft.reasons import REASONS
from swarmtui.wire import rules


@pytest.mark.parametrize("rule", [rules.NO_QUORUM, rules.NO_LEADER, rules.NOT_LEADER, rules.WRONG_TERM, rules.TRANSFER])
def test_raft_gives_the_rules_that_others_decide_by(rule: str) -> None:
    assert rule in {name.partition("/")[0] for name in REASONS}

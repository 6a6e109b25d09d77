from __future__ import annotations

import pytest

from tests.manager.minicluster import MiniCluster


@pytest.fixture
def cluster() -> MiniCluster:
    """Three nodes in zones a, b and c, all ready."""
    mini = MiniCluster(3)
    mini.run(0.5)
    return mini

"""Fixtures of the agent's tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.agent.helpers import Herd, VictimNode


@pytest.fixture
def herd() -> Iterator[Herd]:
    herd = Herd()
    yield herd
    herd.kill()


@pytest.fixture
def victim() -> Iterator[Callable[..., VictimNode]]:
    nodes: list[VictimNode] = []

    def start(cluster_id: str, *programs: str) -> VictimNode:
        nodes.append(VictimNode(cluster_id, programs))
        return nodes[-1]

    yield start
    for node in nodes:
        node.end()

"""S59 with real processes: a leader whose disk hangs stops leading within two election timeouts, though everybody hears it."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
import trio

import swarmtui
from swarmtui.client.errors import ClientError
from swarmtui.host.create import create_cluster
from swarmtui.objects.cluster_file import bare_cluster_file
from tests.cluster.conftest import RealCluster, wait_for
from tests.cluster.hanging_disk import FILE

pytestmark = pytest.mark.cluster

ELECTION_TIMEOUT_S = 0.5  # of the fast profile, drawn up to twice that
SLACK_S = 5.0  # of a machine that has other things to do


@pytest.fixture
def hanging(cluster: RealCluster) -> Iterator[RealCluster]:
    """Three managers whose disks can hang."""
    create_cluster(bare_cluster_file("hanging", 3, 0), cluster.directory)
    command = [sys.executable, "-m", "tests.cluster.hanging_disk", str(cluster.data)]
    with (cluster.directory / "host").open("wb") as log:
        host = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    wait_for("the host", lambda: (cluster.data / "host.json").exists())
    cluster.run("up", "-d")
    yield cluster
    for path in (cluster.data / "nodes").glob(f"*/{FILE}"):
        path.unlink()
    cluster.run("down", expect=None)
    host.wait(10)


def test_S59_leader_whose_disk_hangs_loses_leadership(hanging: RealCluster):
    leader = hanging.leader()
    acknowledged: dict[str, int] = {}
    hung_at = time.time()

    async def write_on(cluster: swarmtui.Cluster) -> str:
        """Writes until somebody else leads, and one write beyond."""
        number = 0
        with trio.fail_after(20):
            while True:
                number += 1
                with trio.move_on_after(5), contextlib.suppress(ClientError):
                    acknowledged[f"k{number}"] = await cluster.kv.put(f"k{number}", b"x")
                    now = (await cluster.status()).leader
                    if now not in (leader, None):
                        return now

    (hanging.data / "nodes" / leader / FILE).touch()
    heir = hanging.ask(write_on)
    assert heir != leader
    # The word of the old leader itself: its own events need no disk.
    events = hanging.run("events", "--since", "1m", "--no-follow", "--filter", "kind=election", "--format", "json").json
    stepped_down = [
        event for event in events if event["node"] == leader and event["time"] > hung_at and "disk" in event["text"]
    ]
    assert stepped_down, [event["text"] for event in events]
    assert stepped_down[0]["time"] - hung_at < 2 * 2 * ELECTION_TIMEOUT_S + SLACK_S

    (hanging.data / "nodes" / leader / FILE).unlink()
    wait_for("the old leader to follow", lambda: hanging.node(leader)["state"] == "follower")
    last = max(acknowledged.values())
    wait_for("it to catch up", lambda: hanging.node(leader)["applied"] >= last)

    async def found(cluster: swarmtui.Cluster) -> set[str]:
        return {record.id for record in await cluster.kv.list()}

    assert set(acknowledged) <= hanging.ask(found)

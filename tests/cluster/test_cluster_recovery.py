"""A majority that is lost for good, with real processes: one survivor begins anew and keeps what it held."""

from __future__ import annotations

import shutil

import pytest

from swarmtui.storage.recovery import INDEXES_SKIPPED
from tests.cluster.conftest import FILE, RealCluster, wait_for

pytestmark = pytest.mark.cluster


def lose(cluster: RealCluster, *names: str) -> None:
    """These managers are gone with their disks."""
    cluster.run("kill", *names)
    for name in names:
        shutil.rmtree(cluster.data / "nodes" / name)


def test_a_survivor_begins_anew_twice_and_those_put_out_stay_out(cluster: RealCluster):
    """swarmkit#2670: recovery worked once. n3 takes over from three, is lost in its turn with its epoch, and comes back."""
    cluster.up(FILE.format(name="lost", managers=3, workers=1, web=3))
    version = int(cluster.run("kv", "put", "color", "green").stdout)
    assert "there is a quorum" in cluster.run("swarm", "init", "--force-new-cluster", "--yes", expect=1).stderr
    lose(cluster, "n1")
    cluster.run("kill", "n2")
    wait_for("no quorum", lambda: not cluster.status()["quorum"]["held"])
    refused = cluster.run("swarm", "init", "--force-new-cluster", "--yes", expect=1).stderr
    assert "2 of 3 managers are not lost (n2 can be started, n3 runs), 2 make a quorum" in refused

    begun = cluster.run("swarm", "init", "--force-new-cluster", "--node", "n3", "--force")
    assert "n3 begins lost anew as its only manager" in begun.stderr
    assert begun.stdout.startswith("n3 is the only manager now")
    status = cluster.status()
    assert (status["leader"], status["quorum"]["voters"]) == ("n3", 1)
    assert cluster.run("kv", "get", "color").stdout.strip() == "green"
    first = int(cluster.run("kv", "put", "color", "blue").stdout)
    assert first > version + INDEXES_SKIPPED
    cluster.run("kv", "cas", "color", str(version), "old", expect=1)
    cluster.wait_running("web", 3, on={"n3", "n4"})

    # A majority of the old voters must not come back as a second cluster.
    assert "n2 is refused: it was put out of the cluster" in cluster.run("start", "n2", expect=1).stderr

    cluster.run("kill", "n3")
    assert (
        "start it with: swarmtui start n3"
        in cluster.run("swarm", "init", "--force-new-cluster", "--yes", expect=1).stderr
    )
    cluster.run("swarm", "init", "--force-new-cluster", "--force")
    assert int(cluster.run("kv", "put", "color", "red").stdout) > first + INDEXES_SKIPPED
    wait_for("the nodes that are left", lambda: {cluster.node(name)["status"] for name in ("n3", "n4")} == {"ready"})
    cluster.run("down")
    up = cluster.run("up", "-d", expect=1)
    assert "n2: it was put out of the cluster" in up.stderr
    assert cluster.run("kv", "get", "color").stdout.strip() == "red"

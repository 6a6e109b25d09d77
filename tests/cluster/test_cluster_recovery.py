"""A majority that is lost for good, and a backup that becomes a new cluster, with real processes."""

from __future__ import annotations

import shutil

import pytest

from swarmtui.client.errors import Conflict
from swarmtui.storage.backup import check_backup
from swarmtui.storage.recovery import INDEXES_SKIPPED
from tests.cluster.conftest import FILE, RealCluster, ended, wait_for

pytestmark = pytest.mark.cluster


def put(cluster: RealCluster, value: str) -> int:
    return cluster.ask(lambda client: client.kv.put("color", value.encode()))


def get(cluster: RealCluster) -> str:
    record = cluster.ask(lambda client: client.kv.get("color"))
    assert record is not None
    return record.value.decode()


def test_a_survivor_begins_anew_twice_and_those_put_out_stay_out(cluster: RealCluster):
    """swarmkit#2670: recovery worked once. n1 is gone with its disk; n3 goes on alone, is lost in its turn, and again."""
    cluster.up(FILE.format(name="lost", managers=3, workers=1, web=3))
    version = put(cluster, "green")
    assert "there is a quorum" in cluster.run("swarm", "init", "--force-new-cluster", "--yes", expect=1).stderr
    cluster.run("kill", "n1", "n2")
    shutil.rmtree(cluster.data / "nodes" / "n1")
    wait_for("no quorum", lambda: not cluster.status()["quorum"]["held"])
    unsaved = cluster.run("raft", "snapshot", "save", "left.swarm", expect=4).stderr
    assert "1 of 3 managers answer" in unsaved
    assert "--stale" in unsaved
    saved = cluster.run("raft", "snapshot", "save", "--stale", "left.swarm")
    assert "stale: no quorum was asked; this is what n3 had applied" in saved.stderr
    assert check_backup(cluster.directory / "left.swarm").index >= version
    refused = cluster.run("swarm", "init", "--force-new-cluster", "--yes", expect=1).stderr
    assert "2 of 3 managers are not lost (n2 can be started, n3 runs), 2 make a quorum" in refused

    begun = cluster.run("swarm", "init", "--force-new-cluster", "--node", "n3", "--force")
    assert "n3 begins lost anew as its only manager" in begun.stderr
    assert begun.stdout.startswith("n3 is the only manager now")
    status = cluster.status()
    assert (status["leader"], status["quorum"]["voters"]) == ("n3", 1)
    assert get(cluster) == "green"
    first = put(cluster, "blue")
    assert first > version + INDEXES_SKIPPED
    with pytest.raises(Conflict):
        cluster.ask(lambda client: client.kv.cas("color", version, b"old"))
    cluster.wait_running("web", 3, on={"n3", "n4"})
    # A majority of the old voters must not come back as a second cluster.
    assert "n2 is refused: it was put out of the cluster" in cluster.run("start", "n2", expect=1).stderr

    cluster.run("kill", "n3")
    cluster.run("swarm", "init", "--force-new-cluster", "--force")
    assert put(cluster, "red") > first + INDEXES_SKIPPED
    wait_for("the nodes that are left", lambda: {cluster.node(name)["status"] for name in ("n3", "n4")} == {"ready"})
    assert get(cluster) == "red"


def test_a_backup_becomes_a_new_cluster(cluster: RealCluster, tmp_path_factory: pytest.TempPathFactory):
    cluster.up(FILE.format(name="saved", managers=3, workers=0, web=2))
    version = put(cluster, "green")
    cluster.run("raft", "snapshot", "save", "my.swarm", "--node", "n2")
    put(cluster, "after the backup")
    other = RealCluster(tmp_path_factory.mktemp("restored"))
    backup = str(cluster.directory / "my.swarm")
    try:
        (other.directory / "cut").write_bytes((cluster.directory / "my.swarm").read_bytes()[:-1])
        cut = other.run("up", "-d", "--restore", "cut", expect=1)
        assert cut.stderr.endswith("cut is cut off or damaged: it does not agree with its checksum\n")
        assert not other.data.exists()
        up = other.run("up", "-d", "--restore", backup)
        assert "created cluster saved: 3 managers, 0 workers, from the state of saved at index" in up.stdout
        assert other.status()["cluster"] != cluster.status()["cluster"]
        assert get(other) == "green"
        assert other.ask(lambda client: client.kv.cas("color", version, b"new")) > version + INDEXES_SKIPPED
        assert len(other.wait_running("web", 2)) == 2
    finally:
        ended(other)

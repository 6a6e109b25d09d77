"""`swarmtui lock` by real processes: two contenders, a holder that is killed, a leader that dies, a quorum that is lost."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.cluster.conftest import RealCluster, wait_for

pytestmark = pytest.mark.cluster


class Holder:
    """`swarmtui lock deploy -- COMMAND` in the background. The command says its pid and version in a file, and stays until
    it is ended."""

    def __init__(self, cluster: RealCluster, name: str) -> None:
        self.said = Path(cluster.directory) / name
        script = f"echo $$ $SWARMTUI_LOCK_VERSION > {self.said}; exec sleep 300"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "swarmtui", "lock", "deploy", "--", "sh", "-c", script],
            cwd=cluster.directory,
            env=cluster.environment,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    @property
    def holds(self) -> bool:
        return self.said.exists() and self.said.read_text().endswith("\n")

    def wait_held(self) -> None:
        wait_for(f"{self.said.name} to hold the lock", lambda: self.holds)

    @property
    def pid(self) -> int:
        return int(self.said.read_text().split()[0])

    @property
    def version(self) -> int:
        return int(self.said.read_text().split()[1])

    @property
    def runs(self) -> bool:
        return self.holds and psutil.pid_exists(self.pid) and psutil.Process(self.pid).status() != psutil.STATUS_ZOMBIE

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()


def test_one_holder_at_a_time_whatever_dies(cluster: RealCluster):
    cluster.up(managers=3)
    assert cluster.run("lock", "once", "--", "sh", "-c", "exit 5", expect=5).stderr == ""
    holders: list[Holder] = []
    try:
        for name in ("first", "second"):
            holders.append(Holder(cluster, name))
            wait_for(f"{name} in the queue", lambda: len(lock_keys(cluster)) == len(holders))
        first, second = holders
        first.wait_held()
        refused = cluster.run("lock", "--no-wait", "deploy", "--", "true", expect=1)
        assert "lock deploy is held by" in refused.stderr

        leader = cluster.leader()
        os.kill(cluster.node(leader)["pid"], signal.SIGKILL)
        wait_for("another leader", lambda: cluster.status()["leader"] not in (leader, None))
        cluster.run("start", leader)
        assert first.runs
        assert not second.holds

        first.process.kill()
        second.wait_held()
        assert not first.runs, "it ended with its holder"
        assert second.version > first.version

        third = Holder(cluster, "third")
        holders.append(third)
        wait_for("third in the queue", lambda: len(lock_keys(cluster)) == 2)
        second.process.terminate()
        third.wait_held()
        assert second.process.wait(10) == 128 + signal.SIGTERM, "its command's exit code"
        assert third.version > second.version
    finally:
        for holder in holders:
            holder.end()


def lock_keys(cluster: RealCluster) -> list[str]:
    return [row["key"] for row in cluster.run("kv", "ls", "locks/deploy", "--format", "json").json]


def test_a_holder_that_can_write_no_more_ends_its_command_before_anybody_else_has_the_lock(cluster: RealCluster):
    cluster.up(managers=3)
    holder = Holder(cluster, "holder")
    try:
        holder.wait_held()
        paused = cluster.followers()
        cluster.run("pause", *paused)
        _, said = holder.process.communicate(timeout=30)
        assert not holder.runs
        assert holder.process.returncode == 3
        assert "lock deploy was lost: its lease could not be renewed for 4 s" in said
        cluster.run("resume", *paused)
        assert cluster.run("lock", "--timeout", "30s", "deploy", "--", "true").stderr == ""
        assert lock_keys(cluster) == []
    finally:
        holder.end()

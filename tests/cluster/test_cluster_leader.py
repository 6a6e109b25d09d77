"""A leader that dies is replaced, its tasks run elsewhere, and nobody else notices."""

import os
import signal
import time

import pytest

from tests.cluster.conftest import RealCluster, RunningTask, wait_for

pytestmark = pytest.mark.cluster


def pids(tasks: dict[str, RunningTask]) -> dict[str, int]:
    return {name: task.pid for name, task in tasks.items()}


@pytest.mark.parametrize("how", ["kill leader", "kill -9 from outside"])
def test_a_killed_leader_is_replaced_and_its_tasks_are_brought_back(healed: RealCluster, how: str):
    before = healed.wait_running("web", 7)
    leader = healed.leader()
    term = healed.status()["term"]
    if how == "kill leader":
        healed.run("kill", "leader")
    else:
        os.kill(healed.node(leader)["pid"], signal.SIGKILL)
    began = time.monotonic()
    healed.run("kv", "put", "after", how)
    assert time.monotonic() - began < 10
    assert healed.run("kv", "get", "after").stdout.strip() == how
    wait_for("another leader", lambda: healed.status()["leader"] not in (leader, None))
    status = healed.status()
    assert status["term"] > term

    others = {node["name"] for node in status["nodes"]} - {leader}
    after = healed.wait_running("web", 7, on=others)
    kept = {name: pid for name, pid in pids(before).items() if before[name].node != leader}
    assert {name: pids(after)[name] for name in kept} == kept, "a task of a living node was touched"

    healed.run("start", leader)
    back = wait_for("a follower that caught up", lambda: caught_up(healed, leader))
    assert back["state"] == "follower"
    assert pids(healed.running("web")) == pids(after), "nothing moves back"


def caught_up(real: RealCluster, name: str) -> dict | None:
    status = real.status()
    node = next(node for node in status["nodes"] if node["name"] == name)
    commit = max(other["commit"] or 0 for other in status["nodes"])
    return node if node["state"] == "follower" and node["commit"] == commit else None


def test_leadership_is_handed_over_before_a_leader_stops(healed: RealCluster):
    leader = healed.leader()
    healed.run("stop", leader)
    status = healed.status()
    assert next(node["state"] for node in status["nodes"] if node["name"] == leader) == "stopped"
    assert wait_for("another leader", healed.leader) != leader
    healed.run("start", leader)


def test_a_paused_leader_is_replaced_and_steps_down_when_it_goes_on(healed: RealCluster):
    leader = healed.leader()
    healed.run("pause", leader)
    wait_for("another leader", lambda: healed.status()["leader"] not in (leader, None))
    assert healed.node(leader)["state"] == "paused"
    healed.run("kv", "put", "during", "pause")
    healed.run("resume", leader)
    wait_for("the old leader as a follower", lambda: healed.node(leader)["state"] == "follower")

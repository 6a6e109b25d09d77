"""Of five managers with three gone nothing is scheduled, and what runs goes on."""

import json

import pytest

from tests.cluster.conftest import RealCluster, wait_for

pytestmark = pytest.mark.cluster


def test_without_a_quorum_nothing_is_scheduled_and_running_tasks_go_on(healed: RealCluster):
    before = healed.wait_running("web", 7)
    leader = healed.leader()
    gone = [leader, *healed.followers()[:2]]
    healed.run("kill", *gone)

    refused = healed.run("service", "scale", "web=9", expect=4)
    assert "2 of 5" in refused.stderr
    assert "3" in refused.stderr
    assert len(refused.stderr.strip().splitlines()) == 1

    shown = healed.run("service", "ls", "--format", "json")
    assert shown.json[0]["Replicas"].endswith("/7")
    assert shown.json[0]["Stale"] is True
    assert "stale" in shown.stderr
    assert healed.run("kv", "get", "x", expect=None).returncode in (1, 4)

    living = {name: task for name, task in before.items() if task.node not in gone}
    now = {name: task.pid for name, task in healed.running("web").items() if name in living}
    assert now == {name: task.pid for name, task in living.items()}, "a task of a living node was touched"

    healed.run("start", gone[1])
    wait_for("a leader again", lambda: healed.status()["leader"])
    healed.run("service", "scale", "-d", "web=8")
    healed.run("service", "scale", "-d", "web=7")


def test_a_partitioned_leader_steps_down_and_its_entries_are_overwritten(healed: RealCluster):
    leader = healed.leader()
    with_it = healed.followers()[0]
    healed.run("partition", leader, with_it)
    majority = wait_for("a leader of the majority", lambda: other_leader(healed, leader))
    assert majority not in (leader, with_it)
    healed.run("kv", "put", "side", "majority")
    wait_for("the old leader stepped down", lambda: healed.node(leader)["state"] != "leader")
    healed.run("heal")
    wait_for("one view of it all", lambda: len({node["term"] for node in managers(healed)}) == 1)
    assert healed.run("kv", "get", "side").stdout.strip() == "majority"
    logs = [healed.run("raft", "log", name, "--format", "json").stdout for name in (leader, majority)]
    tail = [
        {entry["index"]: entry["term"] for entry in map(json.loads, log.splitlines()) if entry["committed"]}
        for log in logs
    ]
    both = tail[0].keys() & tail[1].keys()
    assert both
    assert all(tail[0][index] == tail[1][index] for index in both)


def managers(real: RealCluster) -> list[dict]:
    return [node for node in real.status()["nodes"] if node["role"] == "manager"]


def other_leader(real: RealCluster, old: str) -> str | None:
    leader = real.status()["leader"]
    return leader if leader != old else None

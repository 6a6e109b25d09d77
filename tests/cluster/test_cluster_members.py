"""Members of a running cluster come, go, change their role and move, under writes and under kill -9."""

from __future__ import annotations

import json
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trio

import swarmtui
from swarmtui.client import ClientError
from swarmtui.objects.records import Node
from swarmtui.raft.configuration import decode_configuration
from swarmtui.raft.entries import EntryKind
from swarmtui.storage.log import RaftStorage
from swarmtui.wire.node_calls import GetStatus, NodeReport
from tests.cluster.conftest import FILE, RealCluster, ended, is_whole, wait_for
from tests.ports import free_port

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealCluster]:
    """Three managers, a worker and a service of four, shared by the tests of this file in their order."""
    real = RealCluster(tmp_path_factory.mktemp("members"))
    real.up(FILE.format(name="members", managers=3, workers=1, web=4))
    yield real
    ended(real)


@contextmanager
def writing(real: RealCluster) -> Iterator[list[str]]:
    """Writes all the while, a key after the other; every acknowledged one is checked at the end."""
    acknowledged: list[str] = []
    stop = threading.Event()
    failures: list[BaseException] = []

    async def write() -> None:
        async with swarmtui.connect(real.directory) as cluster:
            number = 0
            while not stop.is_set():
                number += 1
                await cluster.kv.put(f"written/{number}", str(number))
                acknowledged.append(f"written/{number}")

    def run() -> None:
        try:
            trio.run(write)
        except BaseException as error:
            failures.append(error)

    writer = threading.Thread(target=run)
    writer.start()
    try:
        yield acknowledged
        before = len(acknowledged)
        wait_for("a write after all that", lambda: failures or len(acknowledged) > before)
    finally:
        stop.set()
        writer.join()
    assert not failures, failures

    async def written(cluster: swarmtui.Cluster) -> set[str]:
        return {pair.id for pair in await cluster.kv.list("written/")}

    assert set(acknowledged) <= real.ask(written)


def voters(real: RealCluster) -> set[str]:
    """By name, as the leader has them; none while nobody can be asked who that is, as for a moment on a busy machine."""

    async def ask(cluster: swarmtui.Cluster) -> set[str]:
        try:
            leader = (await cluster.status()).leader
            if leader is None:
                return set()
            report = await cluster.ask(leader, GetStatus())
        except ClientError:
            return set()
        assert isinstance(report, NodeReport)
        return {name for _, name in report.voters}

    return real.ask(ask)


def record(real: RealCluster, name: str) -> Node:
    return real.ask(lambda cluster: cluster.nodes.inspect(name))


def enough(real: RealCluster, count: int) -> None:
    """At least so many managers, whatever earlier tests left."""
    for _ in range(count - len(wait_for("a leader's voters", lambda: voters(real)))):
        real.run("swarm", "join", "--role", "manager")
    wait_for("a whole cluster", lambda: is_whole(real))


def pids(real: RealCluster, service: str, count: int) -> dict[str, int]:
    return {name: task.pid for name, task in real.wait_running(service, count).items()}


def is_ready(real: RealCluster, name: str) -> bool:
    return record(real, name).status.state == "ready"


def events(real: RealCluster) -> str:
    return real.run("events", "--since", "2m", "--no-follow").stdout


def test_a_fourth_and_a_fifth_manager_join_under_writes(shared: RealCluster):
    with writing(shared):
        assert shared.run("swarm", "join", "--role", "manager").stdout == "n5 joined the swarm as a manager.\n"
        shared.run("swarm", "join", "--role", "manager", "--name", "n8", "--label", "zone=b")
        assert voters(shared) == {"n1", "n2", "n3", "n5", "n8"}
    status = shared.status()
    assert status["quorum"]["voters"] == 5
    assert [node["state"] for node in status["nodes"]].count("follower") == 4
    assert (
        shared.run("node", "ls", "--filter", "name=n8", "--format", "{{.ManagerStatus}}").stdout.strip() == "Reachable"
    )


def test_a_promoted_workers_tasks_are_not_touched_nor_are_they_when_it_is_demoted(shared: RealCluster):
    only_there = ("--replicas", "2", "--constraint", "node.hostname==n4")
    shared.run("service", "create", "-d", "--name", "stays", *only_there, "--", "sleep", "3600")
    before, process = pids(shared, "stays", 2), shared.node("n4")["pid"]
    shared.run("node", "promote", "n4")
    assert "n4" in voters(shared)
    assert (pids(shared, "stays", 2), shared.node("n4")["pid"]) == (before, process)
    member = record(shared, "n4").member_id
    shared.run("node", "demote", "n4")
    assert "n4" not in voters(shared)
    wait_for("a worker", lambda: shared.node("n4")["state"] == "worker")
    assert (pids(shared, "stays", 2), shared.node("n4")["pid"]) == (before, process)
    wait_for("its log forgotten", lambda: not list((shared.data / "nodes" / "n4").glob("raft*")))
    shared.run("node", "promote", "n4")
    assert record(shared, "n4").member_id != member
    assert (pids(shared, "stays", 2), shared.node("n4")["pid"]) == (before, process)
    shared.run("node", "demote", "n4")


def test_the_leader_is_demoted_under_writes_and_removed(shared: RealCluster):
    enough(shared, 4)
    leader = shared.leader()
    with writing(shared):
        assert shared.run("node", "demote", leader).stdout == f"Manager {leader} demoted in the swarm.\n"
        assert shared.leader() != leader
    assert "not down and can't be removed" in shared.run("node", "rm", leader, expect=1).stderr
    shared.run("swarm", "leave", leader)
    assert leader not in {node["name"] for node in shared.status()["nodes"]}
    assert not (shared.data / "nodes" / leader).exists()


def test_kill_9_of_the_leader_in_the_middle_of_a_demotion(shared: RealCluster):
    """The next leader goes on with what was wished."""
    enough(shared, 4)
    leader = shared.leader()
    victim = shared.followers()[0]
    with writing(shared):
        shared.run("node", "demote", "-d", victim)
        shared.run("kill", leader)
        wait_for("the demotion by another leader", lambda: victim not in (voters(shared) or {victim}))
        wait_for("a worker", lambda: record(shared, victim).role == "worker")
    shared.run("start", leader)
    wait_for("a whole cluster", lambda: is_whole(shared))
    shared.run("node", "promote", victim)


def test_a_manager_with_a_lost_directory_is_replaced_by_the_commands_that_are_named(shared: RealCluster):
    enough(shared, 3)
    lost = shared.followers()[0]
    shared.run("kill", lost)
    shutil.rmtree(shared.data / "nodes" / lost)
    said = shared.run("start", lost, expect=1).stderr
    commands = f"swarmtui node rm --force {lost} && swarmtui swarm join --role manager --name {lost}"
    assert commands in said
    before = record(shared, lost).id
    for command in commands.split(" && "):
        shared.run(*command.split()[1:])
    assert record(shared, lost).id != before
    assert lost in voters(shared)
    wait_for("a whole cluster", lambda: is_whole(shared))


def test_a_removed_manager_that_comes_back_with_its_old_directory_is_told_and_disturbs_nobody(
    shared: RealCluster, tmp_path: Path
):
    enough(shared, 4)
    removed = shared.followers()[0]
    directory = shared.data / "nodes" / removed
    shared.run("kill", removed)
    shutil.copytree(directory, tmp_path / "kept")
    shared.run("node", "demote", removed)
    term = shared.status()["term"]
    shutil.rmtree(directory)
    shutil.copytree(tmp_path / "kept", directory)
    with writing(shared):
        shared.run("start", removed)
        wait_for("a worker", lambda: shared.node(removed)["state"] == "worker" and is_ready(shared, removed))
        assert shared.status()["term"] == term
    assert f"{removed} is a manager no more" in events(shared)
    shared.run("node", "promote", removed)


def test_a_change_that_would_lose_the_quorum_is_refused_with_the_arithmetic(cluster: RealCluster):
    cluster.up(managers=3)
    down, up = cluster.followers()
    cluster.run("kill", down)
    wait_for("it is down", lambda: cluster.status()["quorum"]["reachable"] == 2)
    refused = cluster.run("node", "demote", up, expect=1).stderr
    assert "after this change a majority is 2 of 2 voters" in refused
    assert record(cluster, up).spec.role == "manager"
    cluster.run("node", "rm", "--force", down)  # the one that is down may go
    cluster.run("node", "demote", up)
    alone = cluster.leader()
    assert "is the last manager of the swarm" in cluster.run("node", "demote", alone, expect=1).stderr


def test_managers_move_to_other_addresses_and_the_cluster_heals(cluster: RealCluster):
    cluster.up(managers=3, workers=1)
    moved = cluster.followers()[0]
    assert "stop it first" in cluster.run("node", "update", "--address", "auto", moved, expect=1).stderr
    before = cluster.node(moved)["address"]
    cluster.run("stop", moved)
    cluster.run("node", "update", "--address", "auto", moved)
    cluster.run("start", moved)
    address = cluster.node(moved)["address"]
    assert address != before
    wait_for("a whole cluster", lambda: is_whole(cluster))
    wait_for("its seat moved", lambda: address in _member_addresses(cluster))

    # All of them at once, by hand, with the whole cluster down: no log knows where anybody is.
    cluster.run("down")
    for name in ("n1", "n2", "n3"):
        path = cluster.data / "nodes" / name / "node.json"
        birth = json.loads(path.read_text())
        for node in birth["manifest"]["nodes"]:
            if node["name"] == name:
                node["address"] = f"127.0.0.1:{free_port()}"
        path.write_text(json.dumps(birth))
    cluster.run("up", "-d")
    wait_for("a whole cluster", lambda: is_whole(cluster))
    addresses = {node["address"] for node in cluster.status()["nodes"] if node["role"] == "manager"}
    assert address not in addresses
    wait_for("every seat moved", lambda: set(_member_addresses(cluster)) == addresses)


def test_a_manager_whose_port_is_taken_finds_another_without_a_quorum(cluster: RealCluster):
    """The way out that `up` names must not need the very quorum that the taken port keeps away."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", free_port()))
        other.listen()
        taken = f"127.0.0.1:{other.getsockname()[1]}"
        file = f'[cluster]\nname = "taken"\nmanagers = 1\n[nodes.n1]\naddress = "{taken}"\n'
        (cluster.directory / "cluster.toml").write_text(file)
        refused = cluster.run("up", "-d", expect=1).stderr
        assert f"n1 cannot listen on {taken}: another program listens there" in refused
        assert "swarmtui node update --address auto n1" in refused
        cluster.run("node", "update", "--address", "auto", "n1")
        cluster.run("start", "n1")
        assert cluster.leader() == "n1"


def _member_addresses(real: RealCluster) -> list[str]:
    """Out of the newest configuration entry in the leader's files, read while it runs: what is synced is whole."""
    leader = real.leader()
    copied = real.directory / "copied"
    shutil.rmtree(copied, ignore_errors=True)
    shutil.copytree(real.data / "nodes" / leader / "raft", copied)
    storage = RaftStorage.open(copied, record(real, leader).member_id)
    storage.close()
    newest = [entry.data for entry in storage.restored.entries if entry.kind is EntryKind.CONFIGURATION][-1]
    return [member.address for member in decode_configuration(newest).members]

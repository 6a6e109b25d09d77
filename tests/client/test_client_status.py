"""The cluster at a glance, by the rules that `client.status` states."""

import time

import attrs
import pytest
import trio

from swarmtui.client import NoHost
from swarmtui.client.cluster import CALL_TIMEOUT_S
from swarmtui.objects.codec import encode
from swarmtui.objects.operations import Create, Transaction, Update
from swarmtui.objects.records import Node, Service, Task, TaskStatus
from swarmtui.objects.specs import ReplicatedMode, ServiceSpec
from swarmtui.objects.states import NodeState, TaskState
from swarmtui.wire.host_calls import FaultReport, Power
from tests.client.conftest import MANAGERS, connected, node_id

FIELDS = ("cluster", "name", "term", "leader", "quorum", "stale", "nodes", "services", "tasks", "faults")
NODE_FIELDS = (
    "name", "id", "address", "pid", "role", "state", "term", "commit", "applied", "last", "availability", "status",
    "disk",
)  # fmt: skip


@pytest.fixture(autouse=True)
def patient(monkeypatch, request):
    """These are about what follows from the answers; on a busy machine some come later than `status` waits."""
    if "silence" not in request.node.name:
        monkeypatch.setattr("swarmtui.client.status.STATUS_TIMEOUT_S", 10.0)


def states(status) -> dict[str, str]:
    return {node.name: node.state for node in status.nodes}


async def test_a_healthy_cluster(world, cluster):
    status = await cluster.status()
    assert tuple(attrs.asdict(status)) == FIELDS
    assert tuple(attrs.asdict(status)["nodes"][0]) == NODE_FIELDS
    assert (status.cluster, status.name, status.term, status.leader) == (world.manifest.id, "test", 3, "n1")
    assert attrs.asdict(status.quorum) == {"voters": 5, "needed": 3, "reachable": 5, "held": True}
    assert not status.stale
    assert states(status) == {**dict.fromkeys(MANAGERS, "follower"), "n1": "leader", "n6": "worker"}
    leader, worker = status.nodes[0], status.nodes[5]
    assert (leader.pid, leader.applied, leader.last, leader.status, leader.availability) == (
        1001, world.store.index, world.store.index + 1, "ready", "active",
    )  # fmt: skip
    assert (worker.pid, worker.term, worker.commit, worker.role) == (1006, None, None, "worker")


async def test_a_disk_that_refuses_writes_is_told(world, cluster):
    world.nodes["n2"].disk = "n2's disk has 5 bytes free, 67108864 are kept in reserve; free some space"
    status = await cluster.status()
    assert [node.disk for node in status.nodes[:3]] == ["", world.nodes["n2"].disk, ""]


async def test_services_and_tasks_are_counted(world, cluster):
    service = Service(id="s", spec=ServiceSpec("web", mode=ReplicatedMode(3)))
    world.apply(encode(Transaction((Create(service),))))
    for number, state in enumerate((TaskState.RUNNING, TaskState.RUNNING, TaskState.FAILED)):
        task = Task(id=f"t{number}", service_id="s", service_name="web", slot=1, status=TaskStatus(state))
        world.apply(encode(Transaction((Create(task),))))
    status = await cluster.status()
    assert status.tasks == {"failed": 1, "running": 2}
    assert [(one.name, one.running, one.wanted) for one in status.services] == [("web", 2, 3)]


async def test_what_a_node_that_is_down_said_of_its_tasks_counts_as_lost(world, cluster):
    node = world.store.get(Node, node_id("n2"))
    down = attrs.evolve(node, status=attrs.evolve(node.status, state=NodeState.DOWN))
    service = Service(id="s", spec=ServiceSpec("web", mode=ReplicatedMode(4)))
    world.apply(encode(Transaction((Update(down, version=node.version), Create(service)))))
    for number, (name, desired) in enumerate(
        (("n1", TaskState.RUNNING), ("n1", TaskState.SHUTDOWN), ("n2", TaskState.RUNNING), ("n2", TaskState.SHUTDOWN))
    ):
        status = TaskStatus(TaskState.RUNNING)
        task = Task(
            id=f"t{number}",
            service_id="s",
            service_name="web",
            node_id=node_id(name),
            desired_state=desired,
            status=status,
        )
        world.apply(encode(Transaction((Create(task),))))
    status = await cluster.status()
    assert status.tasks == {"lost": 2, "running": 1, "stopping": 1}
    assert [(one.name, one.running, one.wanted) for one in status.services] == [("web", 1, 4)]


async def test_no_quorum_is_counted_by_who_can_reach_most(world):
    await world.start(leader="")
    for name in ("n3", "n4", "n5"):
        await world.nodes[name].die()
    for name in ("n1", "n2"):
        world.nodes[name].heard = ("n1", "n2")
        world.nodes[name].role = "pre-candidate"
    async with connected(world) as cluster:
        status = await cluster.status()
    assert attrs.asdict(status.quorum) == {"voters": 5, "needed": 3, "reachable": 2, "held": False}
    assert (status.leader, status.stale) == (None, True)
    assert (states(status)["n1"], states(status)["n3"]) == ("candidate", "down")


async def test_a_leader_without_a_quorum_is_no_leader(world):
    """Cut off with one other manager; the majority's leader is believed, by its term as well."""
    await world.start()
    world.nodes["n1"].heard = ("n1", "n2")
    async with connected(world) as cluster:
        assert (await cluster.status()).leader is None
        world.nodes["n3"].role, world.nodes["n3"].term = "leader", 7
        world.nodes["n3"].heard = ("n3", "n4", "n5")
        status = await cluster.status()
    assert (status.leader, status.term, status.quorum.held, status.quorum.reachable) == ("n3", 7, True, 3)
    assert states(status)["n1"] == "leader"  # it says so of itself


async def test_of_two_that_say_they_lead_the_later_term_is_believed(world):
    await world.start()
    world.nodes["n2"].role, world.nodes["n2"].term = "leader", 4
    async with connected(world) as cluster:
        assert (await cluster.status()).leader == "n2"


async def test_silence_is_unknown_and_takes_no_longer_than_its_limit(world, cluster):
    await cluster.status()
    world.nodes["n4"].fall_silent()
    started = time.monotonic()
    status = await cluster.status()
    assert 0.25 < time.monotonic() - started < CALL_TIMEOUT_S, "what a call waits by itself"
    assert states(status)["n4"] == "unknown"
    assert status.nodes[3].pid is None


async def test_silence_of_all_on_a_busy_machine_is_looked_at_again(world, cluster, monkeypatch):
    monkeypatch.setattr("swarmtui.client.status.STATUS_TIMEOUT_S", 0.0)
    monkeypatch.setattr("swarmtui.client.status.SECOND_LOOK_S", 10.0)
    status = await cluster.status()
    assert (status.leader, status.quorum.reachable) == ("n1", 5)


async def test_the_host_says_what_has_no_power(world, cluster):
    await world.start_host()
    world.powers = {"n2": Power.PAUSED, "n3": Power.KILLED, "n4": Power.STOPPED, "n5": Power.RUNNING}
    world.faults = (FaultReport(1, "kill", "n3 was killed", 1.0, None, ("n3",)),)
    for name in ("n2", "n3", "n4", "n5"):
        await world.nodes[name].die()
    status = await cluster.status()
    found = states(status)
    assert [found[name] for name in ("n2", "n3", "n4", "n5")] == ["paused", "down", "stopped", "unknown"]
    assert status.faults == ("n3 was killed",)
    assert [node.pid for node in status.nodes[1:3]] == [7, 7]
    assert status.quorum.reachable == 2  # n1 still says five, but three are known to be without power


async def test_without_a_host_the_nodes_speak_for_themselves(world, cluster):
    await world.nodes["n5"].die()
    assert states(await cluster.status())["n5"] == "down"


async def test_nothing_at_all_answers(world):
    async with connected(world) as cluster:
        with pytest.raises(NoHost, match="does not run"):
            await cluster.status()


async def test_a_manager_that_answers_nothing_else_leaves_the_objects_out(world, cluster, monkeypatch):
    from swarmtui.wire.node_calls import ListRecords

    monkeypatch.setattr("swarmtui.client.status.OBJECTS_TIMEOUT_S", 0.05)
    world.nodes["n1"].deaf_to = (ListRecords,)
    with trio.fail_after(5):
        status = await cluster.status()
    assert (status.leader, status.stale, status.services) == ("n1", True, ())
    assert node_id("n1") == status.nodes[0].id

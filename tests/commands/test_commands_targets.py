"""From words to what is meant; what could be meant twice is refused."""

from __future__ import annotations

import attrs
import pytest

from swarmtui.commands.effects import View
from swarmtui.commands.targets import (
    AmbiguousTarget,
    Kind,
    NodeTarget,
    ServiceTarget,
    TaskTarget,
    UnknownTarget,
    find_node,
    find_service,
    resolve,
)
from swarmtui.objects.operations import Create
from swarmtui.objects.records import Node, Service, Task
from swarmtui.objects.specs import GlobalMode, ReplicatedMode, ServiceSpec
from swarmtui.objects.states import TaskState
from tests.commands.fakes import FakeCluster


@pytest.fixture
def busy(cluster: FakeCluster) -> FakeCluster:
    for id, name, mode in (
        ("svcweb", "web", ReplicatedMode(2)),
        ("svcapi", "api", ReplicatedMode(1)),
        ("g", "agent", GlobalMode()),
    ):
        cluster.write(Create(Service(id=id.ljust(25, "0"), spec=ServiceSpec(name, mode=mode))))
    cluster.run_services()
    for task in cluster.store.all(Task):
        if task.service_name == "agent":
            moved = attrs.evolve(task, id=f"g{task.slot}".ljust(25, "q"), slot=0)
            cluster.write(Create(moved))
    return cluster


async def view_of(cluster: FakeCluster) -> View:
    store = cluster.store
    return View(await cluster.status(), tuple(store.all(Node)), tuple(store.all(Service)), tuple(store.all(Task)))


async def test_names_ids_and_roles(busy):
    view = await view_of(busy)
    assert resolve("n2", view).name == "n2"
    assert resolve(busy.manifest.nodes[1].id, view).name == "n2"
    assert resolve("node2", view).name == "n2"
    assert resolve("leader", view).name == "n1"
    assert resolve("follower", view).name == "n2"
    assert resolve("worker", view).name == "n4"
    assert isinstance(resolve("web", view), ServiceTarget)
    assert isinstance(resolve("svcw", view), ServiceTarget)
    task = resolve("web.2", view)
    assert isinstance(task, TaskTarget)
    assert (task.task.slot, task.node_name, task.name) == (2, "n2", "web.2")
    assert resolve(task.id, view) == task
    assert resolve("agent.n3", view).name == "agent.n3"


async def test_a_slot_means_its_living_task(busy):
    task = next(task for task in busy.store.all(Task) if task.name == "web.1")
    dead = attrs.evolve(task, id="dead".ljust(25, "0"), status=attrs.evolve(task.status, state=TaskState.FAILED))
    busy.write(Create(dead))
    assert resolve("web.1", await view_of(busy)).id == task.id


async def test_what_is_ambiguous_is_refused_with_the_matches(busy):
    with pytest.raises(AmbiguousTarget, match=r"svc is ambiguous \(2 matches found\): service web .*service api"):
        resolve("svc", await view_of(busy))
    busy.write(Create(Service(id="x" * 25, spec=ServiceSpec("n2"))))
    busy.write(Create(Service(id="y" * 25, spec=ServiceSpec("worker"))))
    view = await view_of(busy)
    with pytest.raises(AmbiguousTarget, match=r"node n2 .*service n2"):
        resolve("n2", view)
    with pytest.raises(AmbiguousTarget, match=r"service worker .*node n4"):
        resolve("worker", view)
    assert isinstance(resolve("n2", view, (Kind.NODE,)), NodeTarget)


async def test_what_is_unknown_is_refused_with_the_nearest(busy):
    view = await view_of(busy)
    with pytest.raises(UnknownTarget, match=r"no such node, task or service: wbe; did you mean web\?"):
        resolve("wbe", view)
    with pytest.raises(UnknownTarget, match=r"no such node: zzz; there are n1, n2, n3, n4"):
        resolve("zzz", view, (Kind.NODE,))
    with pytest.raises(UnknownTarget, match=r"no such node, task or service: zzz; there are .*n1, n2, n3, n4, .*web"):
        resolve("zzz", view)
    with pytest.raises(UnknownTarget):
        resolve("", view)


async def test_roles_that_nobody_has(busy):
    busy.leader = None
    busy.states = {"n4": "down"} | dict.fromkeys(("n1", "n2", "n3"), "paused")
    view = await view_of(busy)
    with pytest.raises(UnknownTarget, match="no node leads now"):
        resolve("leader", view)
    for role in ("follower", "worker"):
        with pytest.raises(UnknownTarget, match=f"no {role} runs now"):
            resolve(role, view)


async def test_services_and_nodes_alone(busy):
    services, nodes = busy.store.all(Service), busy.store.all(Node)
    assert find_service("svcw", services).name == "web"
    assert find_node("node3", nodes).name == "n3"
    with pytest.raises(AmbiguousTarget):
        find_service("svc", services)
    with pytest.raises(AmbiguousTarget):
        find_node("node", nodes)
    with pytest.raises(UnknownTarget, match="no such service: webb; did you mean web"):
        find_service("webb", services)
    with pytest.raises(UnknownTarget, match="no such service: ''; there are "):
        find_service("", services)
    with pytest.raises(UnknownTarget, match="no such node: n9; did you mean n"):
        find_node("n9", nodes)

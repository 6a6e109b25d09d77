"""Services, nodes and the host: what one asks most, as methods; and the package's own face."""

import json
import os
import socket
import subprocess
import sys

import attrs
import pytest
import trio

import swarmtui
from swarmtui.client import Conflict, NoHost, NotReached, Refused
from swarmtui.host.identity import ProcessName
from swarmtui.objects.codec import encode
from swarmtui.objects.operations import Create, Transaction
from swarmtui.objects.records import Task
from swarmtui.objects.specs import GlobalMode, ServiceSpec
from swarmtui.objects.states import Availability
from swarmtui.wire.host_calls import CutLinks, Heal, PowerNode, SetLink, ShutDown, Undo
from tests.client.conftest import connected


async def test_the_example_of_the_readme(world):
    await world.start()
    async with swarmtui.connect(world.directory) as cluster:
        await cluster.services.create("web", command=["python", "app.py"], replicas=3)
        version = await cluster.kv.put("color", "green")
        assert version == world.store.index
        assert [service.name for service in await cluster.services.list()] == ["web"]


def test_importing_the_package_imports_neither_trio_nor_the_client():
    code = (
        "import sys, swarmtui; print([m for m in ('trio', 'swarmtui.client', 'cattrs', 'textual') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        swarmtui.nonsense  # noqa: B018


async def test_a_service_from_its_birth_to_its_end(cluster):
    id = await cluster.services.create("web", command=["sleep", "1"], replicas=2, environment={"A": "b"})
    service = await cluster.services.inspect("web")
    container = service.spec.task_template.container_spec
    assert (service.id, container.args, container.env, service.mode.replicas) == (id, ("sleep", "1"), ("A=b",), 2)
    with pytest.raises(Refused, match="web"):
        await cluster.services.create("web", command=["sleep", "1"])
    await cluster.services.scale("web", 5)
    changed = await cluster.services.inspect(id)
    assert (changed.mode.replicas, changed.previous_spec.mode.replicas) == (5, 2)
    assert await cluster.services.tasks("web") == []
    await cluster.services.remove("web")
    with pytest.raises(Refused, match="there is no service web"):
        await cluster.services.inspect("web")


async def test_the_image_of_a_service_tells_its_program_and_every_change(cluster):
    """As `service create` and a cluster file label it: by the program and a digest of the spec, unless one is given."""

    async def image() -> str:
        return (await cluster.services.inspect("web")).spec.task_template.container_spec.image

    await cluster.services.create("web", command=["sleep", "1"])
    born = await image()
    assert born.partition(":")[0] == "sleep"

    def with_args(spec: ServiceSpec, *args: str) -> ServiceSpec:
        container = attrs.evolve(spec.task_template.container_spec, args=args)
        return attrs.evolve(spec, task_template=attrs.evolve(spec.task_template, container_spec=container))

    await cluster.services.update("web", lambda spec: with_args(spec, "sleep", "2"))
    changed = await image()
    assert changed != born
    assert changed.partition(":")[0] == "sleep"
    await cluster.services.update("web", lambda spec: with_args(spec, "sleep", "1"))
    assert await image() == born


async def test_a_global_service_cannot_be_scaled(cluster):
    await cluster.services.create("agent", spec=ServiceSpec("agent", mode=GlobalMode()))
    with pytest.raises(Refused, match="agent is global"):
        await cluster.services.scale("agent", 2)


async def test_a_change_against_an_older_spec_is_a_conflict(cluster):
    await cluster.services.create("web", command=["sleep", "1"])
    found = await cluster.services.inspect("web")
    await cluster.services.scale("web", 2)
    with pytest.raises(Conflict) as caught:
        await cluster.services.update("web", lambda spec: attrs.evolve(spec, labels={"a": "b"}), against=found)
    assert caught.value.expected == found.spec_version


async def test_a_node_is_drained_and_activated(world, cluster):
    await cluster.nodes.update("n2", availability="drain")
    assert (await cluster.nodes.inspect(world.nodes["n2"].entry.id)).spec.availability is Availability.DRAIN
    await cluster.nodes.update("n2", availability=Availability.ACTIVE)
    assert [node.name for node in await cluster.nodes.list()] == ["n1", "n2", "n3", "n4", "n5", "n6"]
    with pytest.raises(Refused, match="there is no node n9"):
        await cluster.nodes.update("n9", availability="drain")


async def test_tasks_are_found_by_name_and_heard_where_they_run(world, cluster):
    for id, service, slot, node in (("t1", "web", 1, "n2"), ("t2", "web", 1, "n3"), ("t3", "db", 1, "")):
        node_id = world.nodes[node].entry.id if node else ""
        task = Task(id=id, service_id=f"id of {service}", service_name=service, slot=slot, node_id=node_id)
        world.apply(encode(Transaction((Create(task),))))
    world.nodes["n3"].output["t2"] = ["hello", "world"]
    assert [task.id for task in await cluster.tasks.list()] == ["t3", "t2", "t1"]
    assert [task.id for task in await cluster.tasks.list(service="web")] == ["t2", "t1"]
    assert [task.id for task in await cluster.tasks.list(node="n2")] == ["t1"]
    said = [said async for said in cluster.tasks.output("web.1")]
    assert [(one.task.id, one.line.text) for one in said] == [("t2", "hello"), ("t2", "world")]
    with pytest.raises(Refused, match="has no node yet"):
        await cluster.tasks.signal("db.1", "kill")
    with pytest.raises(Refused, match="was not made for SignalTask"):
        await cluster.tasks.signal("t1", "kill")
    with pytest.raises(Refused, match="there is no task nope"):
        await cluster.tasks.inspect("nope")


async def test_a_host_that_was_stopped_is_no_reason_to_hang(world, cluster, monkeypatch):
    """kill and down waited for a minute and longer, without a word, for a host that a SIGSTOP had frozen."""
    monkeypatch.setattr("swarmtui.client.host.CONNECT_TIMEOUT_S", 0.3)
    with socket.socket() as frozen:
        frozen.bind(("127.0.0.1", 0))
        frozen.listen()
        info = attrs.asdict(ProcessName.of(os.getpid())) | {"address": f"127.0.0.1:{frozen.getsockname()[1]}"}
        (world.directory / "host.json").write_text(json.dumps(info))
        with trio.fail_after(20):
            for order in (cluster.host.power("n1", "kill"), cluster.host.shut_down()):
                with pytest.raises(NotReached) as missing:
                    await order
                assert str(missing.value) == (
                    f"the host does not answer: no connection in 0.3 s (its pid is {os.getpid()}); see swarmtui status"
                )


async def test_orders_to_the_host(world, cluster):
    with pytest.raises(NoHost, match="swarmtui up"):
        await cluster.host.power("n1", "kill")
    await world.start_host()
    assert await cluster.host.power("n1", "kill", 3.0) == "done PowerNode"
    await cluster.host.partition([["n1", "n2"], ["n3"]])
    await cluster.host.link("n1", "n2", cut=True, one_way=True)
    await cluster.host.heal(["n1"])
    await cluster.host.undo()
    await cluster.host.shut_down()
    assert world.orders == [
        PowerNode("n1", "kill", 3.0),
        CutLinks((("n1", "n2"), ("n3",))),
        SetLink("n1", "n2", one_way=True, cut=True),
        Heal(("n1",)),
        Undo(),
        ShutDown(),
    ]
    assert len((await cluster.host.report()).nodes) == 6
    world.host_refuses = "n9 is no node"
    with pytest.raises(Refused, match="n9 is no node"):
        await cluster.host.power("n9", "kill")


async def test_a_host_that_came_back_elsewhere_is_found(world, cluster):
    await world.start_host()
    await cluster.host.report()
    world.stop_host()
    with pytest.raises(NoHost):
        await cluster.host.report()
    await world.start_host()
    await cluster.host.report()


async def test_an_observer_looks_and_orders_nothing(world):
    await world.start()
    await world.start_host()
    async with connected(world, "observer") as cluster:
        await cluster.host.report()
        with pytest.raises(Refused, match="role observer may not make the call PowerNode"):
            await cluster.host.power("n1", "kill")


async def test_an_error_of_the_body_passes_through_as_it_is(world):
    with pytest.raises(KeyError, match="mine"):
        async with connected(world):
            raise KeyError("mine")

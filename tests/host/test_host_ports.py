"""Published ports: connections reach a task that runs, whatever happens to the others."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial

import attrs
import pytest
import trio

from swarmtui.host import ports as ports_module
from swarmtui.host.events import EventRing
from swarmtui.host.feed import Feed, View
from swarmtui.host.ports import PublishedPorts
from swarmtui.host.supply import NotReached
from swarmtui.objects.manifest import NodeEntry
from swarmtui.objects.records import AnyRecord, Cluster, Service, Task, TaskStatus
from swarmtui.objects.specs import ContainerSpec, EndpointSpec, PortConfig, ReplicatedMode, ServiceSpec, TaskSpec
from swarmtui.objects.states import NodeRole, TaskState
from swarmtui.wire.host_calls import PublishedPort
from swarmtui.wire.node_calls import RecordsChanged
from tests.host.helpers import until

Serve = Callable[[trio.SocketStream], Awaitable[None]]


async def free_port() -> int:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with listener:
        port: int = listener.socket.getsockname()[1]
        return port


@attrs.define
class World:
    """A service `web` with tasks that are listeners of this process, and the ports published for it."""

    port: int
    nursery: trio.Nursery
    view: View = attrs.field(factory=View)
    dead: set[str] = attrs.field(factory=set)
    events: EventRing = attrs.field(factory=EventRing)
    told: list[str] = attrs.field(factory=list)
    scopes: dict[int, trio.CancelScope] = attrs.field(factory=dict)
    ports: PublishedPorts = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.events = EventRing(also=lambda event: self.told.append(event.text))
        self.ports = PublishedPorts(lambda: self.view, lambda node_id: node_id not in self.dead, self.events)
        self.publish("web", self.port)

    def publish(self, name: str, port: int, *, replicas: int = 3, protocol: str = "tcp") -> None:
        endpoint = EndpointSpec((PortConfig(port, protocol=protocol),))
        spec = ServiceSpec(name, mode=ReplicatedMode(replicas), endpoint_spec=endpoint)
        self.view.services[name] = Service(id=name, spec=spec, created_at=len(self.view.services))
        self.ports.changed()

    async def task(self, slot: int, serve: Serve, *, node: str = "") -> None:
        """A task of `web` in this slot, on node `N<slot>` unless another is named."""
        scope = trio.CancelScope()
        self.scopes[slot] = scope
        port = await self.nursery.start(self._listen, serve, scope)
        status = TaskStatus(TaskState.RUNNING, port=port)
        self.view.tasks[f"t{slot}"] = Task(
            id=f"t{slot}", service_id="web", service_name="web", slot=slot, node_id=node or f"N{slot}", status=status
        )
        self.ports.changed()

    async def _listen(self, serve: Serve, scope: trio.CancelScope, task_status: trio.TaskStatus[int]) -> None:
        async def handle(stream: trio.SocketStream) -> None:
            try:
                await serve(stream)
            except trio.BrokenResourceError:
                return

        with scope:
            listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
            async with trio.open_nursery() as nursery:
                await nursery.start(partial(trio.serve_listeners, handle, listeners))
                task_status.started(listeners[0].socket.getsockname()[1])

    def crash(self, slot: int) -> None:
        """The task's process is gone, and nobody knows yet."""
        self.scopes[slot].cancel()

    async def listening(self, port: int | None = None) -> None:
        await until(lambda: self.published(port or self.port).listening, "it listens")

    def published(self, port: int) -> PublishedPort:
        return next((one for one in self.ports.report() if one.port == port), PublishedPort(port, ""))

    async def get(self, request: bytes = b"hello") -> bytes:
        """One request on a connection of its own; b"" if it broke."""
        try:
            async with await trio.open_tcp_stream("127.0.0.1", self.port) as stream:
                await stream.send_all(request)
                await stream.send_eof()
                return b"".join([data async for data in stream])
        except (OSError, trio.BrokenResourceError):
            return b""


@asynccontextmanager
async def world() -> AsyncIterator[World]:
    async with trio.open_nursery() as nursery:
        made = World(await free_port(), nursery)
        nursery.start_soon(made.ports.run)
        yield made
        nursery.cancel_scope.cancel()


def named(name: bytes) -> Serve:
    """Reads to the end, then answers with its name."""

    async def serve(stream: trio.SocketStream) -> None:
        async for _ in stream:
            pass
        await stream.send_all(name)

    return serve


async def silent(stream: trio.SocketStream) -> None:
    await trio.sleep_forever()


# ------------------------------------------------------------------------------------------------------------- choosing


async def test_round_robin_over_running_tasks() -> None:
    async with world() as some:
        for slot in (1, 2, 3):
            await some.task(slot, named(b"%d" % slot))
        await some.listening()
        answers = [await some.get() for _ in range(6)]
        assert sorted(answers) == [b"1", b"1", b"2", b"2", b"3", b"3"]
        assert some.ports.report() == (PublishedPort(some.port, "web", 3, listening=True),)


async def test_a_dead_or_paused_nodes_task_gets_nothing() -> None:
    async with world() as some:
        await some.task(1, silent)
        await some.task(2, named(b"2"))
        await some.listening()
        some.dead.add("N1")
        some.ports.changed()
        assert [await some.get() for _ in range(5)] == [b"2"] * 5


async def test_a_task_that_refuses_is_passed_over_without_a_lost_request() -> None:
    async with world() as some:
        for slot in (1, 2, 3):
            await some.task(slot, named(b"%d" % slot))
        await some.listening()
        some.crash(1)
        some.crash(3)
        await trio.testing.wait_all_tasks_blocked()
        assert [await some.get() for _ in range(6)] == [b"2"] * 6


async def test_tasks_that_are_being_stopped_or_not_running_yet_get_nothing() -> None:
    async with world() as some:
        for slot in (1, 2, 3):
            await some.task(slot, named(b"%d" % slot))
        await some.listening()
        tasks = some.view.tasks
        tasks["t1"] = attrs.evolve(tasks["t1"], desired_state=TaskState.SHUTDOWN)
        starting = attrs.evolve(tasks["t3"].status, state=TaskState.STARTING)
        tasks["t3"] = attrs.evolve(tasks["t3"], status=starting)
        assert [await some.get() for _ in range(4)] == [b"2"] * 4


async def test_a_connection_waits_for_the_task_that_replaces_the_only_one() -> None:
    async with world() as some:
        some.publish("web", some.port, replicas=1)
        await some.listening()
        answers: list[bytes] = []

        async def ask() -> None:
            answers.append(await some.get())

        some.nursery.start_soon(ask)
        await trio.testing.wait_all_tasks_blocked(0.02)
        assert answers == []
        await some.task(1, named(b"new"))
        await until(lambda: answers == [b"new"], "it is answered by the new task")


async def test_a_service_scaled_to_nothing_answers_nobody_at_once() -> None:
    async with world() as some:
        some.publish("web", some.port, replicas=0)
        await some.listening()
        with trio.fail_after(10):
            assert await some.get() == b""


# ----------------------------------------------------------------------------------------------------------- connections


async def test_what_is_under_way_to_a_node_breaks_when_its_power_goes() -> None:
    async with world() as some:
        await some.task(1, silent)
        await some.listening()
        stream = await trio.open_tcp_stream("127.0.0.1", some.port)
        await stream.send_all(b"hello")
        await trio.testing.wait_all_tasks_blocked(0.02)
        some.dead.add("N1")
        some.ports.changed()
        with trio.fail_after(10):
            try:
                assert await stream.receive_some() == b""
            except trio.BrokenResourceError:
                pass
        await stream.aclose()


async def test_half_closed_connections_carry_the_answer() -> None:
    """The client says that it has said all; the task hears that, and answers a megabyte."""
    body = b"x" * 1_000_000

    async def echo_length(stream: trio.SocketStream) -> None:
        received = [len(data) async for data in stream]
        await stream.send_all(b"%d " % sum(received) + body)

    async with world() as some:
        await some.task(1, echo_length)
        await some.listening()
        assert await some.get(body) == b"1000000 " + body


async def test_a_client_that_resets_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports_module, "CONNECTIONS_MAX", 2)
    async with world() as some:
        await some.task(1, named(b"1"))
        await some.listening()
        for _ in range(6):
            stream = await trio.open_tcp_stream("127.0.0.1", some.port)
            stream.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
            await stream.aclose()
        assert await some.get() == b"1"


async def test_connections_are_limited_and_wait_their_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports_module, "CONNECTIONS_MAX", 2)
    async with world() as some:
        await some.task(1, named(b"1"))
        await some.listening()
        held = [await trio.open_tcp_stream("127.0.0.1", some.port) for _ in range(2)]
        await trio.testing.wait_all_tasks_blocked(0.02)
        answers: list[bytes] = []

        async def ask() -> None:
            answers.append(await some.get())

        some.nursery.start_soon(ask)
        await trio.testing.wait_all_tasks_blocked(0.02)
        assert answers == []
        await held[0].aclose()
        await until(lambda: answers == [b"1"], "its turn has come")
        await held[1].aclose()


# ------------------------------------------------------------------------------------------------------------- listening


async def test_a_taken_port_is_reported_and_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports_module, "LISTEN_RETRY_S", 0.01)
    async with world() as some:
        (other,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        port = other.socket.getsockname()[1]
        some.publish("api", port)
        await until(lambda: "Address already in use" in some.published(port).trouble, "it is reported")
        await other.aclose()
        await some.listening(port)
        said = [text for text in some.told if text.startswith("api")]
        assert len(said) == 2
        assert said[1] == f"api: port {port} is published"


async def test_a_port_that_is_published_no_more_is_free_again() -> None:
    async with world() as some:
        await some.listening()
        some.view.services.clear()
        some.ports.changed()
        await until(lambda: some.ports.report() == (), "nothing is published")
        async with (await trio.open_tcp_listeners(some.port, host="127.0.0.1"))[0]:
            pass


async def test_the_first_service_keeps_a_port_and_udp_is_not_forwarded() -> None:
    async with world() as some:
        some.publish("other", some.port)
        some.publish("dns", 5353, protocol="udp")
        await some.listening()
        web = PublishedPort(some.port, "web", 0, listening=True)
        dns = PublishedPort(5353, "dns", trouble="udp is not forwarded")
        assert some.ports.report() == (dns, web)


# ----------------------------------------------------------------------------------------------------------------- feed


@attrs.define
class Managers:
    """Managers whose records a test tells change by change; None ends the watch."""

    channels: dict[str, trio.MemorySendChannel[RecordsChanged | None]] = attrs.field(factory=dict)

    async def watch(self, node: NodeEntry, tables: tuple[str, ...], take: Callable[[RecordsChanged], None]) -> None:
        send, receive = trio.open_memory_channel[RecordsChanged | None](10)
        self.channels[node.name] = send
        async for change in receive:
            if change is None:
                raise NotReached("gone")
            take(change)

    async def tell(self, name: str, index: int, *records: AnyRecord, reset: bool = False) -> None:
        await self.channels[name].send(RecordsChanged(index, reset, records))
        await trio.testing.wait_all_tasks_blocked()


def service(name: str) -> Service:
    return Service(id=name, spec=ServiceSpec(name))


async def test_the_most_advanced_manager_is_believed_and_remembered_when_it_is_gone(
    nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("swarmtui.host.feed.RETRY_S", 0.01)
    entries = tuple(
        NodeEntry(id=name, name=name, role=NodeRole.MANAGER, address="127.0.0.1:1") for name in ("n1", "n2")
    )
    managers, changes = Managers(), []
    feed = Feed(entries, managers, lambda: changes.append(feed.best.index))
    nursery.start_soon(feed.run)
    await until(lambda: len(managers.channels) == 2, "both are followed")
    await managers.tell("n1", 5, service("a"), reset=True)
    await managers.tell("n2", 3, service("old"), reset=True)
    assert set(feed.best.services) == {"a"}
    await managers.tell("n2", 7, service("b"))
    assert set(feed.best.services) == {"old", "b"}
    assert changes == [5, 7]
    old = dict(managers.channels)
    await managers.channels["n2"].send(None)
    await until(lambda: managers.channels["n2"] is not old["n2"], "it is followed again")
    assert set(feed.best.services) == {"old", "b"}
    await managers.tell("n2", 2, reset=True)
    assert (feed.best.index, set(feed.best.services)) == (5, {"a"})
    await managers.channels["n1"].send(RecordsChanged(8, False, (), (("service", "a"),)))
    await until(lambda: feed.best.services == {}, "it was removed")
    nursery.cancel_scope.cancel()


def test_the_longest_grace_is_that_of_tasks_that_live() -> None:
    feed = Feed((NodeEntry(id="n1", name="n1", role=NodeRole.MANAGER, address="a"),), Managers(), lambda: None)
    assert feed.longest_grace_s() == 10.0

    def task(id: str, node_id: str, grace_s: int, state: TaskState) -> Task:
        spec = TaskSpec(ContainerSpec(stop_grace_period_ns=grace_s * 10**9))
        return Task(id=id, service_id="s", service_name="s", node_id=node_id, spec=spec, status=TaskStatus(state))

    tasks = (task("1", "n1", 3, TaskState.RUNNING), task("2", "n2", 30, TaskState.RUNNING))
    cluster = Cluster(id="c", name="c")
    feed.best.take(RecordsChanged(1, True, (*tasks, task("3", "n1", 99, TaskState.FAILED), cluster)))
    assert (feed.longest_grace_s(), feed.longest_grace_s("n1")) == (30.0, 3.0)
    assert feed.best.cluster == cluster

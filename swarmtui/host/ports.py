"""Published ports: the host listens on 127.0.0.1 and forwards each connection to a running task, on whatever node.

    connection --> the service that publishes the port --> its tasks that run, round robin --> the first that accepts

It goes by what is last known of services and tasks, so it works with no leader and no quorum; and it knows the power of
the nodes before they do, so nothing is ever forwarded to a dead or paused one, and what was already forwarded to it is
broken off rather than left to hang. A connection that finds no task waits a little for one: a task that is being
replaced is a pause for its clients, not an error.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import attrs
import trio

from swarmtui.host.events import EventRing
from swarmtui.host.feed import View
from swarmtui.objects.records import Service, Task
from swarmtui.objects.specs import PortConfig, ReplicatedMode
from swarmtui.objects.states import TaskState
from swarmtui.wire.host_calls import PublishedPort

ADDRESS = "127.0.0.1"
CONNECTIONS_MAX = 300  # of all published ports together; further ones wait to be accepted
CHUNK_BYTES = 64 * 1024
CONNECT_LIMIT_S = 1.0  # a task that neither accepts nor refuses is passed over after this
TARGET_LIMIT_S = 5.0  # how long a connection waits for a task that accepts it
TARGET_RETRY_S = 0.05
LISTEN_RETRY_S = 1.0  # a taken port is tried again after this
ACCEPT_RETRY_S = 0.1  # when the system has no file descriptors left


@attrs.frozen
class Target:
    """Where a task listens."""

    task: Task
    port: int


@attrs.define
class _Published:
    """One published port: who publishes it, and whether it is listened to."""

    port: int
    service: Service
    config: PortConfig
    scope: trio.CancelScope
    listening: bool = False
    problem: str = ""
    turn: Iterator[int] = attrs.field(factory=itertools.count)


class PublishedPorts:
    """`view` gives what is known of services and tasks, `usable` says whether a node has power (by id)."""

    def __init__(self, view: Callable[[], View], usable: Callable[[str], bool], events: EventRing) -> None:
        self._view = view
        self._usable = usable
        self._events = events
        self._changed = trio.Event()
        self._published: dict[int, _Published] = {}
        self._refused: dict[int, PublishedPort] = {}
        self._slots = trio.Semaphore(CONNECTIONS_MAX)
        self._forwarded: dict[str, set[trio.CancelScope]] = {}  # by node id

    # ------------------------------------------------------------------------------------------------------- reading

    def report(self) -> tuple[PublishedPort, ...]:
        """Every published port, in order."""
        listened = {
            port: PublishedPort(
                port,
                one.service.name,
                len(self.targets(one.service, one.config)),
                one.listening,
                "" if one.listening else one.problem,
            )
            for port, one in self._published.items()
        }
        return tuple(port for _, port in sorted({**self._refused, **listened}.items()))

    def targets(self, service: Service, config: PortConfig) -> list[Target]:
        """The tasks that a new connection may go to, in a stable order."""
        found = []
        for task in self._view().tasks.values():
            if task.service_id != service.id or not self._usable(task.node_id):
                continue
            if task.status.state is not TaskState.RUNNING or task.desired_state > TaskState.RUNNING:
                continue
            port = task.status.port or config.target_port
            if port:
                found.append(Target(task, port))
        return sorted(found, key=lambda target: (target.task.slot, target.task.id))

    # ------------------------------------------------------------------------------------------------------- changes

    def changed(self) -> None:
        """Services, tasks or the power of a node are not what they were."""
        self._changed.set()
        self._changed = trio.Event()
        for node_id, scopes in list(self._forwarded.items()):
            if not self._usable(node_id):
                for scope in scopes:
                    scope.cancel()

    async def run(self) -> None:
        """For ever: a listener for each published port."""
        async with trio.open_nursery() as nursery:
            while True:
                changed = self._changed
                wanted = self._wanted()
                for port in [port for port in self._published if port not in wanted]:
                    self._published.pop(port).scope.cancel()
                for port, (service, config) in wanted.items():
                    known = self._published.get(port)
                    if known is not None:
                        known.service, known.config = service, config
                        continue
                    self._published[port] = _Published(port, service, config, trio.CancelScope())
                    nursery.start_soon(self._serve, self._published[port])
                await changed.wait()

    def _wanted(self) -> dict[int, tuple[Service, PortConfig]]:
        wanted: dict[int, tuple[Service, PortConfig]] = {}
        self._refused = {}
        for service in sorted(self._view().services.values(), key=lambda service: (service.created_at, service.id)):
            for config in service.spec.endpoint_spec.ports:
                if config.protocol != "tcp":
                    self._refused[config.published_port] = PublishedPort(
                        config.published_port, service.name, trouble=f"{config.protocol} is not forwarded"
                    )
                elif config.published_port:
                    wanted.setdefault(config.published_port, (service, config))
        return wanted

    # ----------------------------------------------------------------------------------------------------- listening

    async def _serve(self, published: _Published) -> None:
        with published.scope:
            listener = await self._listen(published)
            async with listener, trio.open_nursery() as nursery:
                while True:
                    await self._slots.acquire()
                    try:
                        client = await listener.accept()
                    except OSError:
                        self._slots.release()
                        await trio.sleep(ACCEPT_RETRY_S)
                        continue
                    except BaseException:
                        self._slots.release()
                        raise
                    nursery.start_soon(self._connection, client, published)

    async def _listen(self, published: _Published) -> trio.SocketListener:
        name, port = published.service.name, published.port
        while True:
            try:
                (listener,) = await trio.open_tcp_listeners(port, host=ADDRESS)
            except OSError as error:
                problem = f"{error.strerror or error}; tried again every second"
                if not published.problem:
                    text = f"{name}: port {port} cannot be listened to: {problem}"
                    self._events.emit("host", text, about=published.service.id, data={"port": port})
                published.problem = problem
                await trio.sleep(LISTEN_RETRY_S)
                continue
            published.listening = True
            self._events.emit(
                "host", f"{name}: port {port} is published", about=published.service.id, data={"port": port}
            )
            return listener

    # ---------------------------------------------------------------------------------------------------- forwarding

    async def _connection(self, client: trio.SocketStream, published: _Published) -> None:
        try:
            async with client:
                found = await self._connect(published)
                if found is None:
                    return  # closed without a word: there is nobody to answer
                backend, node_id = found
                async with backend:
                    await self._forward(client, backend, node_id)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return  # one of the two went away, and with it the other
        finally:
            self._slots.release()

    async def _connect(self, published: _Published) -> tuple[trio.SocketStream, str] | None:
        """A connection to the next task that accepts one, and its node's id."""
        with trio.move_on_after(TARGET_LIMIT_S):
            while True:
                changed = self._changed
                targets = self.targets(published.service, published.config)
                first = next(published.turn)
                for offset in range(len(targets)):
                    target = targets[(first + offset) % len(targets)]
                    if not self._usable(target.task.node_id):
                        continue
                    stream = await _dial(target.port)
                    if stream is not None:
                        return stream, target.task.node_id
                if _wants_none(published.service):
                    return None
                with trio.move_on_after(TARGET_RETRY_S if targets else TARGET_LIMIT_S):
                    await changed.wait()
        return None

    async def _forward(self, client: trio.SocketStream, backend: trio.SocketStream, node_id: str) -> None:
        """Both directions until both have ended, or until the node loses its power."""
        with trio.CancelScope() as scope:
            scopes = self._forwarded.setdefault(node_id, set())
            scopes.add(scope)
            try:
                if not self._usable(node_id):
                    return
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(_pump, client, backend)
                    nursery.start_soon(_pump, backend, client)
            except* (trio.BrokenResourceError, trio.ClosedResourceError):
                pass  # a reset of one side: both are closed by our caller
            finally:
                scopes.discard(scope)


def _wants_none(service: Service) -> bool:
    return isinstance(service.mode, ReplicatedMode) and service.mode.replicas == 0


async def _dial(port: int) -> trio.SocketStream | None:
    stream: trio.SocketStream | None = None
    with trio.move_on_after(CONNECT_LIMIT_S):
        try:
            stream = await trio.open_tcp_stream(ADDRESS, port)
        except OSError:
            return None
    return stream


async def _pump(source: trio.SocketStream, target: trio.SocketStream) -> None:
    """What one says to the other, and that it has said all."""
    while data := await source.receive_some(CHUNK_BYTES):
        await target.send_all(data)
    await target.send_eof()

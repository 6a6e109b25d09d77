"""A scripted world for the agent: an executor whose tasks end when told to, a dispatcher that says what it is told to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
import trio

from swarmtui.agent.executor import Exit, TaskAction, TaskRejected
from swarmtui.agent.session import SessionLost
from swarmtui.objects.dispatch import Assignment, DispatchMessage, Register, Registered, ReportReceived, StatusReport
from swarmtui.objects.manifest import NodeEntry
from swarmtui.objects.records import Task, TaskStatus
from swarmtui.objects.states import NodeRole, TaskState

NODE = NodeEntry(id="node1", name="n1", role=NodeRole.MANAGER, address="127.0.0.1:1")


def make_task(
    id: str, state: TaskState = TaskState.ASSIGNED, desired: TaskState = TaskState.RUNNING, **more: Any
) -> Task:
    fields = {"service_id": "s1", "service_name": "web", "slot": 1, "node_id": NODE.id, **more}
    return Task(id=id, status=TaskStatus(state), desired_state=desired, **fields)


class Stories:
    """Collects what is narrated."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []

    def __call__(self, kind: str, text: str, **_: Any) -> None:
        self.lines.append((kind, text))

    def of(self, kind: str) -> list[str]:
        return [text for one, text in self.lines if one == kind]


class FakeWorkload:
    def __init__(self, executor: FakeExecutor, task: Task) -> None:
        self.task, self.port = task, 20_000
        self.acts: list[str] = []
        self.released = False
        self._executor = executor
        self._ended = trio.Event()
        self._exit = Exit(0)

    def end(self, how: Exit) -> None:
        self._exit = how
        self._ended.set()

    async def start(self) -> int:
        self.acts.append("start")
        if self._executor.start_error is not None:
            raise self._executor.start_error
        return 4242

    async def wait(self) -> Exit:
        await self._ended.wait()
        return self._exit

    async def stop(self) -> None:
        self.acts.append("stop")
        if not self._executor.stubborn:
            self.end(Exit(143))
        await self._ended.wait()

    async def act(self, action: TaskAction) -> None:
        self.acts.append(action.value)
        if action is TaskAction.KILL:
            self.end(Exit(137))

    def release(self) -> None:
        self.released = True


class FakeExecutor:
    def __init__(self) -> None:
        self.workloads: dict[str, FakeWorkload] = {}
        self.removed: list[str] = []
        self.prepare_error: Exception | None = None
        self.start_error: Exception | None = None
        self.stubborn = False
        self.gate: trio.Event | None = None
        self.addresses: Mapping[str, str] = {}

    async def prepare(self, task: Task, addresses: Mapping[str, str]) -> FakeWorkload:
        if self.gate is not None:
            await self.gate.wait()
        if self.prepare_error is not None:
            raise self.prepare_error
        self.addresses = addresses
        workload = self.workloads[task.id] = FakeWorkload(self, task)
        return workload

    async def remove(self, task_id: str) -> None:
        self.removed.append(task_id)


def rejected(text: str) -> TaskRejected:
    return TaskRejected(text)


class FakeSession:
    """One session, the dispatcher's end in the test's hands."""

    def __init__(self) -> None:
        self._to_agent_send, self._to_agent = trio.open_memory_channel[DispatchMessage](100)
        self._from_agent_send, self.sent = trio.open_memory_channel[DispatchMessage](1000)
        self.name = ""
        self.log: list[DispatchMessage] = []
        self.statuses: dict[str, TaskStatus] = {}
        self.acknowledging = True

    # the agent's side
    async def send(self, message: DispatchMessage) -> None:
        try:
            self._from_agent_send.send_nowait(message)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            raise SessionLost("broken by the test") from None

    def __aiter__(self) -> FakeSession:
        return self

    async def __anext__(self) -> DispatchMessage:
        try:
            return await self._to_agent.receive()
        except (trio.EndOfChannel, trio.ClosedResourceError):
            raise StopAsyncIteration from None

    async def __aenter__(self) -> FakeSession:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._from_agent_send.close()

    # the dispatcher's side
    def say(self, message: DispatchMessage) -> None:
        self._to_agent_send.send_nowait(message)

    def break_off(self) -> None:
        self._to_agent_send.close()

    async def accept(self, term: int = 1, heartbeat_s: float = 0.1, node_timeout_s: float = 0.5) -> Register:
        register = await self.sent.receive()
        assert isinstance(register, Register)
        self.name = register.session
        self.say(Registered(register.session, term, heartbeat_s, node_timeout_s))
        return register

    async def order(
        self, *tasks: Task, term: int = 1, index: int = 1, complete: bool = False, removed: tuple[str, ...] = ()
    ) -> None:
        self.say(Assignment(self.name, term, index, complete, tasks, removed, {"web": "127.0.0.1:8080"}))

    async def receive(self) -> DispatchMessage:
        message = await self.sent.receive()
        self.log.append(message)
        if isinstance(message, StatusReport):
            self.statuses.update(dict(message.statuses))
            if self.acknowledging:
                self.say(ReportReceived(self.name, message.serial))
        return message

    async def until_state(self, task_id: str, state: TaskState) -> TaskStatus:
        """Reads reports until this task is in this state."""
        with trio.fail_after(5):
            while task_id not in self.statuses or self.statuses[task_id].state is not state:
                await self.receive()
        return self.statuses[task_id]


@attrs.define
class FakeConnector:
    """Every opened session is handed to the test."""

    opened: trio.MemoryReceiveChannel[FakeSession] = attrs.field(init=False)
    _send: trio.MemorySendChannel[FakeSession] = attrs.field(init=False)
    refuse: str = ""
    attempts: int = 0

    def __attrs_post_init__(self) -> None:
        self._send, self.opened = trio.open_memory_channel(100)

    async def open(self) -> FakeSession:
        self.attempts += 1
        if self.refuse:
            raise SessionLost(self.refuse)
        session = FakeSession()
        self._send.send_nowait(session)
        return session

"""The agent: keeps the tasks of its node as the leader last ordered, and tells the leader how they are.

One nursery: the launcher's link, one task for every living task, and the session. The session comes and goes; the tasks do
not notice. With no leader and no quorum nothing here changes but the reconnecting.
"""

from __future__ import annotations

import platform
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import attrs
import psutil
import trio

from swarmtui.agent.conversation import Conversation
from swarmtui.agent.executor import Executor, TaskAction, TaskFailed
from swarmtui.agent.launcher import LauncherLink
from swarmtui.agent.obedience import DamagedState, Obedience
from swarmtui.agent.output import read_output
from swarmtui.agent.reports import Reports
from swarmtui.agent.session import SessionConnector, SessionLost
from swarmtui.agent.sweep import kill_marked
from swarmtui.agent.task_directory import TaskDirectory, load_statuses
from swarmtui.agent.task_life import MESSAGES, TaskLife
from swarmtui.objects.dispatch import Assignment
from swarmtui.objects.events import Narrate
from swarmtui.objects.manifest import NodeEntry
from swarmtui.objects.records import NODE_WAS_RESTARTED, NodeDescription, Task, TaskStatus
from swarmtui.objects.specs import Resources
from swarmtui.objects.states import TaskState
from swarmtui.version import __version__
from swarmtui.wire.node_calls import OutputLines

TASKS_MAX = 1000  # that live at once on one node

WRITE_BEHIND_S = 1.0  # how late the index of the last order may be on disk; a new term never is
FAREWELL_S = 1.0  # how long a node that stops waits for its last report to be acknowledged


def describe_node(node: NodeEntry) -> NodeDescription:
    """What this node says of itself: its name, and what the machine has."""
    return NodeDescription(
        hostname=node.name,
        os=platform.system().lower(),
        architecture=platform.machine(),
        resources=Resources((psutil.cpu_count() or 1) * 1_000_000_000, psutil.virtual_memory().total),
        engine_version=__version__,
    )


class Agent:
    """See the head of the file. `directory` is the node's. With a `launcher`, `run` serves its link and sweeps what
    earlier tasks of this node left; an executor that needs none goes without."""

    def __init__(
        self,
        *,
        node: NodeEntry,
        cluster_id: str,
        directory: Path,
        executor: Executor,
        connect: SessionConnector,
        narrate: Narrate,
        launcher: LauncherLink | None = None,
        description: NodeDescription | None = None,
    ) -> None:
        self._node, self._cluster_id = node, cluster_id
        self._tasks_directory = directory / "tasks"
        self._executor, self._launcher = executor, launcher
        self._narrate = narrate
        self._obedience = Obedience(directory / "agent.json")
        self._reports = Reports()
        self._lives: dict[str, TaskLife] = {}
        self._dropped: set[str] = set()  # to be forgotten, and their files deleted, once they have ended
        self._strays: set[str] = set()  # directories of tasks that an earlier run of this node never started
        self._addresses: Mapping[str, str] = {}
        self._stopping = False
        self._life_ended = trio.Event()
        self._nursery: trio.Nursery | None = None
        self._conversation = Conversation(
            node, description or describe_node(node), connect, self._reports, self._obey, narrate
        )

    # ------------------------------------------------------------------------------------------- what others ask

    @property
    def obeyed(self) -> tuple[int, int]:
        """(term, index) of the highest order obeyed."""
        return self._obedience.term, self._obedience.index

    @property
    def statuses(self) -> Mapping[str, TaskStatus]:
        """The last status of every task known here."""
        return dict(self._reports.statuses)

    @property
    def connected(self) -> bool:
        """True while a session with the leader is open."""
        return self._conversation.open

    def pids(self) -> dict[str, int]:
        """The first process of every running task."""
        return {id: life.status.pid for id, life in self._lives.items() if life.status.state is TaskState.RUNNING}

    def gap(self) -> None:
        """The machine slept: whoever was silent meanwhile gets a full new period before that is held against it."""
        self._conversation.gap()

    async def signal_task(self, task_id: str, action: str) -> str:
        """Does `action` (TaskAction) to a running task: "" or why not, in a sentence."""
        try:
            wanted = TaskAction(action)
        except ValueError:
            return f"unknown action {action!r}: there are {', '.join(TaskAction)}"
        life = self._lives.get(task_id)
        if life is None:
            return f"task {task_id} does not run on {self._node.name}"
        try:
            await life.act(wanted)
        except TaskFailed as error:
            return str(error)
        self._narrate("fault", f"{action} {self._name(life.task)} on {self._node.name}, as asked", object=task_id)
        return ""

    def output(self, task_id: str, tail: int = 1000, follow: bool = False) -> AsyncIterator[OutputLines]:
        """What a task wrote: the last `tail` lines, then, with `follow`, what comes until it has ended."""
        try:
            directory = TaskDirectory(self._tasks_directory, task_id).path
        except ValueError as error:
            return _only(OutputLines(task_id, (), str(error)))
        if not directory.is_dir():
            return _only(OutputLines(task_id, (), f"{self._node.name} holds no output of task {task_id}"))
        return read_output(task_id, directory, tail, follow, lambda: task_id in self._lives)

    # --------------------------------------------------------------------------------------------------- running

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Until cancelled; the tasks then end with the launcher. For an end in order call `stop` before."""
        await self._recover()
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            if self._launcher is not None:
                await nursery.start(self._launcher.run, self._launcher_lost)
            nursery.start_soon(self._write_behind)
            task_status.started()
            await self._conversation.run()

    async def stop(self) -> None:
        """Stops all tasks at once, each with its grace, and returns when they have ended and, if there is a leader, it
        has been told, and that this node leaves. No further task is started."""
        self._stopping = True
        for life in self._lives.values():
            life.want(TaskState.SHUTDOWN)
        while self._lives:
            await self._life_ended.wait()
        with trio.move_on_after(FAREWELL_S):
            await self._conversation.leave(f"stopping: {self._node.name} was stopped in good order")
        await self._write_state()

    async def _recover(self) -> None:
        """What an earlier run of this node left: its tasks are dead (the launcher saw to that, the sweep makes sure), and
        those that had not ended by themselves have failed."""
        if not self._tasks_directory.is_dir():
            return
        await self._sweep()
        for task_id, status in (await trio.to_thread.run_sync(load_statuses, self._tasks_directory)).items():
            if status is None:
                self._strays.add(task_id)
            elif status.state.is_terminal:
                self._reports.put(task_id, status)
            else:  # remembered, so that it does not fail anew with every restart
                failed = _restarted(status)
                await self._save(task_id, task_id, failed)
                self._reports.put(task_id, failed)

    async def _sweep(self) -> None:
        killed = await kill_marked(self._cluster_id, self._node.id)
        if killed:
            text = f"{len(killed)} processes of earlier tasks were still there and were killed"
            self._narrate("task", text, object=self._node.id, data={"pids": killed})

    async def _launcher_lost(self) -> None:
        self._narrate("task", f"the launcher of {self._node.name} was killed; its tasks are dead", object=self._node.id)
        await self._sweep()

    async def _write_behind(self) -> None:
        while True:
            await self._obedience.changed.wait()
            await trio.sleep(WRITE_BEHIND_S)
            await self._write_state()

    async def _write_state(self) -> None:
        try:
            await self._obedience.write()
        except DamagedState as error:  # the index may be behind, the term never is; the next order tries again
            self._narrate("node", f"{self._node.name}: {error}", object=self._node.id)

    # ---------------------------------------------------------------------------------------------------- orders

    async def _obey(self, order: Assignment) -> None:
        """Does what the leader wants, unless a later leader, or a later order, was obeyed already."""
        if self._obedience.outdated(order.term, order.index):
            term, index = self.obeyed
            text = f"order of term {order.term} index {order.index} ignored: term {term} index {index} was obeyed"
            self._narrate("refused", text, object=self._node.id)
            return
        try:
            await self._obedience.obey(order.term, order.index)
        except DamagedState as error:  # a full disk: it is not obeyed; the next session asks for it again
            raise SessionLost(str(error)) from None
        if order.complete or order.addresses:
            self._addresses = order.addresses
        for task in order.tasks:
            self._take(task)
        for task_id in order.removed:
            self._drop(task_id)
        if order.complete:
            named = {task.id for task in order.tasks}
            for task_id in {*self._lives, *self._reports.statuses, *self._strays} - named:
                self._drop(task_id)
            self._strays.clear()
        self._conversation.poke()

    def _take(self, task: Task) -> None:
        life = self._lives.get(task.id)
        known = self._reports.statuses.get(task.id)
        if life is not None:
            life.want(task.desired_state)
        elif known is not None:
            if known.state > task.status.state:
                self._reports.repeat(task.id)
        elif task.status.state.is_terminal or self._stopping:
            return
        elif task.status.state >= TaskState.STARTING:
            # It ran here once, and nothing of that is left, not even a memory.
            self._report(task, _restarted(task.status))
        elif len(self._lives) >= TASKS_MAX:
            self._report(task, _status(TaskState.REJECTED, f"{TASKS_MAX} tasks live on {self._node.name} already"))
        else:
            self._begin(task)

    def _begin(self, task: Task) -> None:
        assert self._nursery is not None, "orders come only while the agent runs"
        life = TaskLife(task, self._executor, lambda: self._addresses, self._report, self._remember)
        self._lives[task.id] = life
        self._nursery.start_soon(self._live, life)

    async def _live(self, life: TaskLife) -> None:
        await life.run()
        del self._lives[life.task.id]
        self._life_ended.set()
        self._life_ended = trio.Event()
        if life.task.id in self._dropped:
            await self._delete(life.task.id)

    def _drop(self, task_id: str) -> None:
        """The leader has forgotten this task: so do we, as soon as nothing of it runs."""
        life = self._lives.get(task_id)
        if life is not None:
            self._dropped.add(task_id)
            life.want(TaskState.REMOVE)
        elif self._nursery is not None:
            self._reports.forget(task_id)
            self._nursery.start_soon(self._delete, task_id)

    async def _delete(self, task_id: str) -> None:
        self._dropped.discard(task_id)
        self._reports.forget(task_id)
        await self._executor.remove(task_id)

    # --------------------------------------------------------------------------------------------------- reports

    def _report(self, task: Task, status: TaskStatus) -> None:
        self._reports.put(task.id, status)
        self._conversation.poke()
        if status.state is TaskState.RUNNING or status.state.is_terminal:
            where = f" (pid {status.pid}{f', port {status.port}' if status.port else ''})"
            detail = f": {status.error}" if status.error else where if status.state is TaskState.RUNNING else ""
            text = f"{self._name(task)} {status.message} on {self._node.name}{detail}"
            data = {"state": status.state.name.lower(), "pid": status.pid, "exit_code": status.exit_code}
            self._narrate("task", text, object=task.id, data=data)

    def _name(self, task: Task) -> str:
        """As everybody else writes it: a global service's task is named for its node, not for the node's id."""
        return task.name_on(self._node.name)

    async def _remember(self, task: Task, status: TaskStatus) -> None:
        await self._save(task.id, self._name(task), status)

    async def _save(self, task_id: str, name: str, status: TaskStatus) -> None:
        try:
            await trio.to_thread.run_sync(TaskDirectory(self._tasks_directory, task_id).save_status, status)
        except (OSError, ValueError) as error:  # the disk is full: after a restart the task is said to have failed
            self._narrate("task", f"the state of {name} could not be saved: {error}", object=task_id)


def _status(state: TaskState, error: str) -> TaskStatus:
    return TaskStatus(state, time.time(), MESSAGES[state], error)


def _restarted(before: TaskStatus) -> TaskStatus:
    now = max(time.time(), before.timestamp)
    return attrs.evolve(
        before, state=TaskState.FAILED, timestamp=now, message=MESSAGES[TaskState.FAILED], error=NODE_WAS_RESTARTED
    )


async def _only(lines: OutputLines) -> AsyncIterator[OutputLines]:
    yield lines

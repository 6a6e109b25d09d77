"""Tasks as processes of this machine, through the node's launcher."""

from __future__ import annotations

import functools
import signal as signals
from collections.abc import Mapping
from typing import Protocol

import attrs
import trio

from swarmtui.agent.doorway import make_doorway
from swarmtui.agent.environment import Program, Surroundings, make_program, names_port
from swarmtui.agent.executor import Exit, TaskAction, TaskFailed, TaskRejected
from swarmtui.agent.launcher import Child, LauncherLost, LauncherRefused
from swarmtui.agent.ports import Ports
from swarmtui.agent.task_directory import TaskDirectory
from swarmtui.objects.notations import check_signal
from swarmtui.objects.quantities import SECOND_NS
from swarmtui.objects.records import Task

GRACE_S_MAX = 3600.0


class Launcher(Protocol):
    """What this executor needs of a LauncherLink."""

    async def spawn(self, task_id: str, argv: list[str], env: dict[str, str], cwd: str, output: str) -> Child: ...
    async def signal(self, task_id: str, number: int) -> None: ...
    async def kill(self, task_id: str) -> None: ...
    async def freeze(self, task_id: str) -> None: ...
    async def thaw(self, task_id: str) -> None: ...


class ProcessExecutor:
    """Implements `executor.Executor`."""

    def __init__(self, around: Surroundings, launcher: Launcher) -> None:
        self._around = around
        self._launcher = launcher
        self._ports = Ports(*around.manifest.task_ports)
        self._tasks = around.directory / "tasks"

    async def prepare(self, task: Task, addresses: Mapping[str, str]) -> ProcessWorkload:
        return await trio.to_thread.run_sync(self._prepare, task, addresses)

    def _prepare(self, task: Task, addresses: Mapping[str, str]) -> ProcessWorkload:
        try:
            directory = TaskDirectory(self._tasks, task.id)
            directory.make()
            make_doorway(self._around, directory.private)
            stop_signal = signals.Signals[check_signal(task.spec.container_spec.stop_signal)]
        except ValueError as error:
            raise TaskRejected(str(error)) from None
        except OSError as error:
            raise TaskRejected(f"the task's directory cannot be made: {error}") from None
        port = self._choose_port(task)
        release = functools.partial(self._ports.release, port)
        try:
            program = make_program(task, self._around, port, directory.private, addresses)
        except BaseException:
            release()
            raise
        grace_s = min(task.spec.container_spec.stop_grace_period_ns / SECOND_NS, GRACE_S_MAX)
        stop = StopOrder(stop_signal, grace_s)
        return ProcessWorkload(task.id, program, str(directory.path), port, stop, self._launcher, release)

    def _choose_port(self, task: Task) -> int:
        """Its own, unless the service publishes a fixed one that the program itself listens on (`8080:3000`)."""
        fixed = next((published.target_port for published in task.ports if published.target_port), 0)
        if fixed or not names_port(task):
            return fixed
        return self._ports.take(task.id, task.port_hint)

    async def remove(self, task_id: str) -> None:
        try:
            directory = TaskDirectory(self._tasks, task_id)
        except ValueError:
            return
        await trio.to_thread.run_sync(directory.remove)


@attrs.frozen
class StopOrder:
    """How a task is asked to end, and for how long."""

    signal: int
    grace_s: float


class ProcessWorkload:
    """Implements `executor.Workload`."""

    def __init__(
        self,
        task_id: str,
        program: Program,
        output: str,
        port: int,
        stop: StopOrder,
        launcher: Launcher,
        release: functools.partial[None],
    ) -> None:
        self._task_id, self._program, self._output = task_id, program, output
        self._port, self._stop = port, stop
        self._launcher = launcher
        self._release = release
        self._child: Child | None = None
        self._paused = False

    @property
    def port(self) -> int:
        return self._port

    async def start(self) -> int:
        program = self._program
        try:
            self._child = await self._launcher.spawn(
                self._task_id, list(program.argv), dict(program.env), program.cwd, self._output
            )
        except LauncherRefused as error:
            what = program.cwd if error.step == "chdir" else program.argv[0]
            raise TaskFailed(f"{what}: {error}") from None
        except LauncherLost as error:
            raise TaskFailed(str(error)) from None
        return self._child.pid

    async def wait(self) -> Exit:
        if self._child is None:
            raise TaskFailed("it was not started")
        ended = await self._child.ended()
        code = ended.status if ended.status >= 0 else 128 - ended.status
        return Exit(code, ended.last_line, ended.lost)

    async def stop(self) -> None:
        await self._try(TaskAction.STOP)
        with trio.move_on_after(self._stop.grace_s):
            await self.wait()
            return
        await self._try(TaskAction.KILL)
        await self.wait()

    async def _try(self, action: TaskAction) -> None:
        """It may have ended this moment: then there is nothing left to do."""
        try:
            await self._act(action)
        except (LauncherRefused, LauncherLost):
            return

    async def act(self, action: TaskAction) -> None:
        try:
            await self._act(action)
        except (LauncherRefused, LauncherLost) as error:
            raise TaskFailed(str(error)) from None

    async def _act(self, action: TaskAction) -> None:
        match action:
            case TaskAction.KILL:
                await self._launcher.kill(self._task_id)
            case TaskAction.STOP:
                await self._launcher.signal(self._task_id, self._stop.signal)
                if self._paused:  # it could not hear the signal
                    await self._act(TaskAction.RESUME)
            case TaskAction.PAUSE:
                self._paused = True
                await self._launcher.freeze(self._task_id)
            case TaskAction.RESUME:
                await self._launcher.thaw(self._task_id)
                self._paused = False

    def release(self) -> None:
        self._release()

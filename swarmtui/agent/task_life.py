"""The life of one task on this node: swarm's states from ACCEPTED to the end (swarmkit api/types.proto).

    ACCEPTED -> PREPARING -> READY -> STARTING -> RUNNING -> COMPLETE | FAILED
                    |          |          |          |
                    +----------+----------+----------+-----> SHUTDOWN, as soon as no more is wanted of it
                    +-> REJECTED (an error before it was started; after that FAILED)

`desired` only rises. READY means: prepare, but hold; RUNNING starts it; SHUTDOWN and REMOVE stop it.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Mapping

import attrs
import trio

from swarmtui.agent.executor import Executor, Exit, TaskAction, TaskFailed, TaskRejected, Workload
from swarmtui.causes import innermost
from swarmtui.objects.records import Task, TaskStatus
from swarmtui.objects.states import TaskState

LOG = logging.getLogger(__name__)

MESSAGES = {
    TaskState.ACCEPTED: "accepted",
    TaskState.PREPARING: "preparing",
    TaskState.READY: "prepared",
    TaskState.STARTING: "starting",
    TaskState.RUNNING: "started",
    TaskState.COMPLETE: "finished",
    TaskState.SHUTDOWN: "shutdown",
    TaskState.FAILED: "failed",
    TaskState.REJECTED: "rejected",
}


class TaskLife:
    """One task from assignment to its end. `run` is its whole life; `want` is the only order it takes."""

    def __init__(
        self,
        task: Task,
        executor: Executor,
        addresses: Callable[[], Mapping[str, str]],
        report: Callable[[Task, TaskStatus], None],
        remember: Callable[[Task, TaskStatus], Awaitable[None]],
    ) -> None:
        self.task = task
        self.status = TaskStatus()
        self._desired = task.desired_state
        self._changed = trio.Event()
        self._executor, self._addresses = executor, addresses
        self._report, self._remember = report, remember
        self._workload: Workload | None = None
        self._nursery: trio.Nursery | None = None

    def want(self, desired: TaskState) -> None:
        """The leader's wish; one that is lower than before is passed over."""
        if desired > self._desired:
            self._desired = desired
            self._changed.set()
            self._changed = trio.Event()

    async def act(self, action: TaskAction) -> None:
        """Does to the running task what a person asked for. Raises TaskFailed if it does not run."""
        if self._workload is None or self._nursery is None or self.status.state is not TaskState.RUNNING:
            raise TaskFailed(f"{self.task.name} does not run: it is {self.status.state.word.lower()}")
        if action is TaskAction.STOP:
            self._nursery.start_soon(self._workload.stop)
        else:
            await self._workload.act(action)

    async def run(self) -> None:
        """Until the task has ended, with nothing left of it; or cancelled, which leaves that to the launcher."""
        try:
            await self._live()
        except TaskRejected as error:
            await self._end(TaskState.REJECTED, error=str(error))
        except TaskFailed as error:
            await self._end(TaskState.FAILED, error=str(error))
        except Exception as error:  # a defect here must fail this task, not one node after the other that is given it
            LOG.exception("task %s", self.task.id)
            await self._abandon()
            await self._end(TaskState.FAILED, error=f"task: internal error: {innermost(error)!r}")
        finally:
            if self._workload is not None:
                self._workload.release()

    async def _abandon(self) -> None:
        with contextlib.suppress(TaskFailed):
            if self._workload is not None:
                await self._workload.act(TaskAction.KILL)

    async def _live(self) -> None:
        if self._unwanted():
            await self._end(TaskState.SHUTDOWN)
            return
        self._enter(TaskState.ACCEPTED)
        self._enter(TaskState.PREPARING)
        self._workload = await self._unless_unwanted(self._executor.prepare, self.task, self._addresses())
        if self._workload is not None:
            self._enter(TaskState.READY, port=self._workload.port)
            await self._until(lambda: self._desired >= TaskState.RUNNING)
        if self._workload is None or self._unwanted():
            await self._end(TaskState.SHUTDOWN)
            return
        self._enter(TaskState.STARTING)
        await self._remember(self.task, self.status)
        pid = await self._workload.start()
        self._enter(TaskState.RUNNING, pid=pid)
        await self._end_as(await self._attend(self._workload))

    async def _attend(self, workload: Workload) -> Exit:
        """Waits for the end of the running task, and brings it about when no more is wanted of it."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            nursery.start_soon(self._stop_when_unwanted, workload)
            ended = await workload.wait()
            self._nursery = None
            nursery.cancel_scope.cancel()
        return ended

    async def _stop_when_unwanted(self, workload: Workload) -> None:
        await self._until(self._unwanted)
        await workload.stop()

    def _unwanted(self) -> bool:
        return self._desired >= TaskState.SHUTDOWN

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            await self._changed.wait()

    async def _unless_unwanted(
        self,
        prepare: Callable[[Task, Mapping[str, str]], Awaitable[Workload]],
        task: Task,
        addresses: Mapping[str, str],
    ) -> Workload | None:
        """What `prepare` gives, or None if the task was no longer wanted first."""
        workload: Workload | None = None
        rejected: TaskRejected | None = None

        async def cancel_when_unwanted(scope: trio.CancelScope) -> None:
            await self._until(self._unwanted)
            scope.cancel()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(cancel_when_unwanted, nursery.cancel_scope)
            try:
                workload = await prepare(task, addresses)
            except TaskRejected as error:
                rejected = error
            nursery.cancel_scope.cancel()
        if workload is None and rejected is not None:
            raise rejected
        return workload

    # --------------------------------------------------------------------------------------------------- states

    async def _end_as(self, ended: Exit) -> None:
        if ended.lost:
            await self._end(TaskState.FAILED, error=ended.error)
        elif self._unwanted():
            await self._end(TaskState.SHUTDOWN, exit_code=ended.code)
        elif ended.code == 0:
            await self._end(TaskState.COMPLETE, exit_code=0)
        else:
            await self._end(TaskState.FAILED, exit_code=ended.code, error=ended.error)

    async def _end(self, state: TaskState, *, error: str = "", exit_code: int | None = None) -> None:
        """Remembered first: once it was told, a restart of the node must not tell anything else."""
        ended = attrs.evolve(
            self.status, state=state, timestamp=time.time(), message=MESSAGES[state], error=error, exit_code=exit_code
        )
        with trio.CancelScope(shield=True):
            await self._remember(self.task, ended)
        self.status = ended
        self._report(self.task, ended)

    def _enter(self, state: TaskState, *, pid: int = 0, port: int | None = None) -> None:
        port = self.status.port if port is None else port
        self.status = TaskStatus(state, time.time(), MESSAGES[state], pid=pid, port=port)
        self._report(self.task, self.status)

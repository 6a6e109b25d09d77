"""Whether this node is a manager now: its manager's side, opened and closed while the node and its tasks go on.

What the directory says is done: a manager of a membership that is not over has its side open, everybody else has none. A
member that was expelled closes its side and waits as a worker; its log stays until the host has written down that it is a
worker (which it does when the leader has), and only then is forgotten: that member can never come back.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial

import trio

from swarmtui.node.bell import Bell
from swarmtui.node.events import Events
from swarmtui.node.manager_side import ManagerSide, open_disk
from swarmtui.node.members import introduction
from swarmtui.objects.states import NodeRole
from swarmtui.storage.directory import NodeDirectory
from swarmtui.storage.worker import DiskWorker

TakeUp = Callable[[ManagerSide], Callable[[], None]]
"""Joins a new manager's side with the rest of the node; returns what to call when something that a mark shows has moved."""


class Duty:
    """`side` is the open manager's side, None while there is none."""

    def __init__(
        self, directory: NodeDirectory, events: Events, *, take_up: TakeUp, lay_down: Callable[[], None]
    ) -> None:
        self._directory = directory
        self._events = events
        self._take_up = take_up
        self._lay_down = lay_down
        self._expelled = ""  # the member that this node was, and can be no more
        self._look = Bell()
        self._settled = trio.Event()
        self.side: ManagerSide | None = None

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Until cancelled. Raises what the manager's side raises: then this process must not go on."""
        while True:
            await self._forget()
            if self._member_wanted():
                await self._hold(task_status)
            else:
                self._settle(task_status)
                await self._look.heard()
            task_status = trio.TASK_STATUS_IGNORED

    async def follow(self) -> None:
        """The directory has changed: returns when that is done which it says."""
        self._settled = trio.Event()
        self._look.ring()
        await self._settled.wait()

    def expel(self, reason: str) -> None:
        """This member was removed for ever."""
        if self.side is not None:
            self._expelled = self.side.node.member_id
            text = f"{self.side.node.name} is a manager no more: {reason}; its tasks go on, it works on as a worker"
            self._events.tell("node", text, object=self.side.node.id, data={"member": self._expelled, "reason": reason})
            self._look.ring()

    # --------------------------------------------------------------------------------------------------------- inside

    def _member_wanted(self) -> str:
        """The member whose side is to be open; "" for none."""
        entry = self._directory.node
        return entry.member_id if entry.role is NodeRole.MANAGER and entry.member_id != self._expelled else ""

    def _settle(self, task_status: trio.TaskStatus[None]) -> None:
        self._settled.set()
        task_status.started()

    async def _hold(self, task_status: trio.TaskStatus[None]) -> None:
        """A manager's side, from its log's recovery to its end."""
        entry, manifest, events = self._directory.node, self._directory.birth.manifest, self._events
        async with AsyncExitStack() as stack:
            log_worker = await stack.enter_async_context(DiskWorker("log"))
            snapshot_worker = await stack.enter_async_context(DiskWorker("snapshots"))
            known = introduction(manifest, entry)
            recovered = await log_worker.run(open_disk, self._directory.raft, entry.member_id, known)
            for note in recovered.storage.notes:
                events.tell("raft", note)
            self.side = ManagerSide(entry, manifest, recovered, log_worker, snapshot_worker, events)
            moved = self._take_up(self.side)
            try:
                async with trio.open_nursery() as nursery:
                    await nursery.start(self.side.run, moved)
                    self._settle(task_status)
                    while self._member_wanted() == entry.member_id:
                        await self._look.heard()
                        if self._member_wanted() == entry.member_id:
                            self._settled.set()
                    nursery.cancel_scope.cancel()
            finally:
                self.side = None
                self._lay_down()
            await log_worker.run(recovered.storage.close)  # behind every write that was on its way

    async def _forget(self) -> None:
        for path in self._directory.forgotten():
            await trio.to_thread.run_sync(partial(shutil.rmtree, path, ignore_errors=True))
            text = f"{self._directory.node.name} has forgotten the log of a membership that is over ({path.name})"
            self._events.tell("raft", text)

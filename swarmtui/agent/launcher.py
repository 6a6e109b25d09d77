"""The node's end of its launcher: starts it, asks it to start and signal tasks, hears how they ended.

`start_launcher` is called first thing in the node's process. If the launcher dies (somebody killed it), the kernel has
killed every task's first process; `LauncherLink.run` then sweeps what those left behind, says of every task that it was
lost, and starts another launcher.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import attrs
import trio

from swarmtui.agent.launcher_frames import BadFrame, Frame, FrameReader, pack
from swarmtui.agent.launcher_spawn import become_subreaper
from swarmtui.agent.launcher_trees import below, kill, scan

LAUNCHER_PROGRAM = Path(__file__).with_name("launcher_process.py")
REQUEST_LIMIT_S = 30.0  # the launcher answers in milliseconds; later, something is very wrong
CLOSE_LIMIT_S = 5.0  # a launcher that was let go ends as soon as it has killed all its tasks
ADOPTED_LIMIT_S = 5.0
ADOPTED_PAUSE_S = 0.002
RECEIVE_BYTES = 64 * 1024
RESTART_PAUSE_S = 0.1
RESTART_PAUSE_MAX_S = 5.0


class LauncherLost(Exception):
    """The launcher died before it answered. Its tasks are dead."""


class LauncherRefused(Exception):
    """The launcher could not do it. `step` is chdir or exec where a program could not be started."""

    def __init__(self, text: str, step: str = "", number: int = 0) -> None:
        super().__init__(text)
        self.step, self.number = step, number


@attrs.frozen
class Ended:
    """How a task's first process ended, once everything it left behind is gone too. `status` is its exit status, or
    minus the signal that killed it. `lost`: the launcher was killed, and the task with it."""

    status: int
    last_line: str = ""
    lost: bool = False


class Child:
    """The first process of a task."""

    def __init__(self) -> None:
        self.pid = 0
        self._ended = trio.Event()
        self._how: Ended | None = None

    async def ended(self) -> Ended:
        """Waits until it has ended and nothing that belongs to the task is left."""
        await self._ended.wait()
        assert self._how is not None
        return self._how

    def end(self, how: Ended) -> None:
        self._how = how
        self._ended.set()


def start_launcher(node_name: str = "") -> LauncherLink:
    """Starts the launcher of this node. `node_name` only labels it in the process table. From then on this process adopts
    the orphans below it: those of a launcher that was killed, whose tasks' descendants would else be lost."""
    become_subreaper()
    process, connection = _start(node_name)
    return LauncherLink(node_name, process, connection)


def _start(node_name: str) -> tuple[subprocess.Popen[bytes], socket.socket]:
    ours, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-S", "-E", str(LAUNCHER_PROGRAM), node_name or "node"],
            stdin=theirs.fileno(),
            cwd="/",  # it must not hold a directory that the user wants to remove
            start_new_session=True,  # no terminal's Ctrl-C
            close_fds=True,
        )
    return process, ours


def _kill_adopted() -> None:
    """Kills what the dead launcher left to us: our children in sessions that are not ours (tasks are started in their
    own), with all that descends from them."""
    session = os.getsid(0)
    deadline = time.monotonic() + ADOPTED_LIMIT_S
    while time.monotonic() < deadline:
        table = scan()
        adopted = [row for row in table.values() if row.parent == os.getpid() and row.session != session]
        if not adopted:
            return
        kill([row for row in below(adopted, table) if not row.zombie], os.getpgrp())
        for row in adopted:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(row.pid, os.WNOHANG)
        time.sleep(ADOPTED_PAUSE_S)


class LauncherLink:
    """One node's launcher, and the next one if it dies. `run` must be running for anything to be answered."""

    def __init__(self, node_name: str, process: subprocess.Popen[bytes], connection: socket.socket) -> None:
        self._node_name = node_name
        self._process = process
        self._connection: socket.socket | None = connection
        self._stream: trio.SocketStream | None = None
        self._numbers = itertools.count(1)
        self._answers: dict[int, _Answer] = {}
        self._children: dict[str, Child] = {}
        self._send_lock = trio.Lock()
        self._ready = trio.Event()

    @property
    def pid(self) -> int:
        """The launcher's. Whoever pauses a node's processes leaves this one alone: it must be able to hear the node die."""
        return self._process.pid

    @property
    def running(self) -> frozenset[str]:
        """The tasks that were started and have not been heard to end."""
        return frozenset(self._children)

    async def run(
        self, on_lost: Callable[[], Awaitable[None]], *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Serves the link until cancelled; then the launcher, and with it every task, ends. `on_lost` is awaited when a
        launcher died, before its tasks are said to be lost and before another is started: the place for the sweep."""
        pause_s = RESTART_PAUSE_S
        try:
            self._open()
            task_status.started()
            while True:
                began = trio.current_time()
                await self._receive()
                if trio.current_time() - began > RESTART_PAUSE_MAX_S:
                    pause_s = RESTART_PAUSE_S
                await self._bury(on_lost)
                await trio.sleep(pause_s)
                pause_s = min(pause_s * 2, RESTART_PAUSE_MAX_S)
                self._process, self._connection = _start(self._node_name)
                self._open()
        finally:
            self.close()
            with trio.move_on_after(CLOSE_LIMIT_S, shield=True):
                await trio.to_thread.run_sync(self._process.wait, abandon_on_cancel=True)

    def _open(self) -> None:
        if self._connection is None:
            raise RuntimeError("run was called on a link that is closed")
        # SocketStream would set TCP_NODELAY only on TCP; a socket pair is as good a stream.
        self._stream = trio.SocketStream(trio.socket.from_stdlib_socket(self._connection))
        self._ready.set()

    async def _receive(self) -> None:
        """Until the launcher is gone."""
        assert self._stream is not None
        reader = FrameReader()
        try:
            while data := await self._stream.receive_some(RECEIVE_BYTES):
                for frame in reader.feed(data):
                    if frame is not None:
                        self._take(frame)
        except (trio.BrokenResourceError, trio.ClosedResourceError, BadFrame):
            return

    def _take(self, frame: Frame) -> None:
        task = frame.get("exit")
        if isinstance(task, str):
            child = self._children.pop(task, None)
            if child is not None:
                child.end(Ended(int(frame["status"]), str(frame.get("last", ""))))
            return
        answer = self._answers.pop(frame.get("n") or 0, None)
        if answer is not None:
            answer.frame = frame
            answer.event.set()

    async def _bury(self, on_lost: Callable[[], Awaitable[None]]) -> None:
        self._ready = trio.Event()
        if self._stream is not None:
            await self._stream.aclose()
        self._stream = self._connection = None
        await trio.to_thread.run_sync(self._process.wait, abandon_on_cancel=True)
        await trio.to_thread.run_sync(_kill_adopted)
        await on_lost()
        for answer in self._answers.values():
            answer.event.set()
        self._answers.clear()
        for child in self._children.values():
            child.end(Ended(-9, lost=True))
        self._children.clear()

    def close(self) -> None:
        """Lets the launcher go: it kills every task that is left, and ends."""
        for resource in (self._stream.socket if self._stream else None, self._connection):
            if resource is not None:
                resource.close()
        self._stream = self._connection = None

    # ------------------------------------------------------------------------------------------------- requests

    async def spawn(self, task_id: str, argv: list[str], env: dict[str, str], cwd: str, output: str) -> Child:
        """Starts a task's program. Raises LauncherRefused (with the step that failed) or LauncherLost."""
        child = Child()
        frame = {"do": "spawn", "task": task_id, "argv": argv, "env": env, "cwd": cwd, "output": output}
        if self._children.setdefault(task_id, child) is not child:
            raise LauncherRefused(f"task {task_id} runs already")
        try:
            with trio.CancelScope(shield=True):  # a task that was started must not be forgotten half-way
                child.pid = int((await self._request(frame))["pid"])
        except (LauncherRefused, LauncherLost):
            if self._children.get(task_id) is child:
                del self._children[task_id]
            raise
        return child

    async def signal(self, task_id: str, number: int) -> None:
        """A signal to the process group of the task's first process."""
        await self._request({"do": "signal", "task": task_id, "signal": number})

    async def kill(self, task_id: str) -> None:
        """SIGKILL to everything that belongs to the task."""
        await self._request({"do": "kill", "task": task_id})

    async def freeze(self, task_id: str) -> None:
        """SIGSTOP to everything that belongs to the task."""
        await self._request({"do": "freeze", "task": task_id})

    async def thaw(self, task_id: str) -> None:
        """SIGCONT to everything that belongs to the task."""
        await self._request({"do": "thaw", "task": task_id})

    async def _request(self, frame: Frame) -> dict[str, Any]:
        await self._ready.wait()
        if self._stream is None:
            raise LauncherLost("the launcher is gone")
        number = next(self._numbers)
        try:
            data = pack({**frame, "n": number})
        except BadFrame as error:
            raise LauncherRefused(str(error)) from None
        answer = self._answers[number] = _Answer()
        try:
            with trio.fail_after(REQUEST_LIMIT_S):
                async with self._send_lock:
                    with trio.CancelScope(shield=True):  # half a frame would be the end of the conversation
                        await self._stream.send_all(data)
                await answer.event.wait()
        except (trio.BrokenResourceError, trio.ClosedResourceError, trio.TooSlowError) as error:
            raise LauncherLost(f"the launcher does not answer: {error or 'time is up'}") from None
        finally:
            self._answers.pop(number, None)
        if answer.frame is None:
            raise LauncherLost("the launcher was killed")
        if "error" in answer.frame:
            reply = answer.frame
            raise LauncherRefused(str(reply["error"]), str(reply.get("step", "")), int(reply.get("errno", 0)))
        return answer.frame


@attrs.define(eq=False)
class _Answer:
    event: trio.Event = attrs.field(factory=trio.Event)
    frame: Frame | None = None

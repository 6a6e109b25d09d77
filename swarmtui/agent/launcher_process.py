"""The launcher: parent of all tasks of one node, and the one that kills them all when the node dies.

Started by `launcher.start_launcher` as a program of its own (`python -S -E launcher_process.py NODE`): standard library
only, no package of the project beyond its own four files, one thread, about 10 MB. Its standard input is a socket to the
node; end-of-file there means that the node is dead, whatever killed it. It then kills every process below itself and ends.

It waits in poll() and wakes for a request, a task's output, or SIGCHLD; idle it costs nothing.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import sys
import time

if (
    __name__ == "__main__"
):  # run as a file: find the package, but let no file beside this one pass for a standard module
    sys.path[0:1] = []
    sys.path.append(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

from swarmtui.agent import launcher_frames, launcher_spawn, launcher_trees
from swarmtui.agent.launcher_frames import Frame
from swarmtui.agent.launcher_output import Recorder

TASKS_MAX = 2000
LINGER_S = 5.0  # how long the end of a task waits for processes that not even SIGKILL ends (stuck in the kernel)
ENDING_PAUSE_S = 0.002  # between two looks at what an ended task left behind; doubles up to
ENDING_PAUSE_MAX_S = 0.1
EMPTY_LOOKS_MAX = 3  # at a process table that changes under our eyes: the end of a task is not to wait for strangers
THROTTLE_PAUSE_S = 0.05
RECEIVE_BYTES = 256 * 1024


TYPE_CHECKING = False
if TYPE_CHECKING:  # importing typing would double the time that a launcher takes to start
    from typing import TypeVar

    T = TypeVar("T")


class BadRequest(Exception):
    """Answered to the node as the request's error."""


class Running:
    """One task: its first process, what records its output, and once that process has ended, how."""

    def __init__(self, task: str, root: launcher_trees.Root, recorder: Recorder) -> None:
        self.task, self.root, self.recorder = task, root, recorder
        self.status: int | None = None
        self.ended_at = 0.0
        self.look_at = 0.0
        self.pause_s = ENDING_PAUSE_S
        self.empty_looks = 0


class Launcher:
    def __init__(self, node: socket.socket) -> None:
        self._node = node
        self._pid = os.getpid()
        self._group = os.getpgrp()
        self._frames = launcher_frames.FrameReader()
        self._tasks: dict[str, Running] = {}
        self._by_pid: dict[int, Running] = {}
        self._pipes: dict[int, Running] = {}
        self._poll = select.poll()
        self._polled: set[int] = set()
        self._woken, wake = _pipe()
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        self._watch(node.fileno())
        self._watch(self._woken)

    def run(self) -> None:
        """Serves the node until it is gone, then takes everything with it."""
        try:
            while self._turn():
                continue
        finally:
            launcher_trees.kill_all(self._pid, self._marks())

    def _marks(self) -> str:
        marks = [running.root.mark for running in self._tasks.values()]
        return marks[0].rpartition("/")[0] + "/" if marks else ""

    def _turn(self) -> bool:
        now = time.monotonic()
        throttled = self._choose_pipes(now)
        ready = {descriptor for descriptor, _ in self._poll.poll(self._patience_ms(now, throttled))}
        if self._node.fileno() in ready and not self._serve_node():
            return False
        if self._woken in ready:
            with contextlib.suppress(BlockingIOError):
                os.read(self._woken, 4096)
            self._reap()
        for descriptor in ready & self._pipes.keys():
            if not self._pipes[descriptor].recorder.read(descriptor):
                self._forget_pipe(descriptor)
        self._finish_ended(time.monotonic())
        return True

    def _patience_ms(self, now: float, throttled: bool) -> float | None:
        """How long poll may wait: for ever, unless a task is ending or has to be slowed down."""
        looks = [running.look_at - now for running in self._tasks.values() if running.status is not None]
        if throttled:
            looks.append(THROTTLE_PAUSE_S)
        return max(0.0, min(looks)) * 1000 + 1 if looks else None

    def _choose_pipes(self, now: float) -> bool:
        """Watches the pipes of tasks that may write more, and leaves the others alone. True if there are others."""
        throttled = False
        for descriptor, running in self._pipes.items():
            if running.recorder.throttled(now):
                throttled = True
                self._unwatch(descriptor)
            else:
                self._watch(descriptor)
        return throttled

    def _watch(self, descriptor: int) -> None:
        if descriptor not in self._polled:
            self._polled.add(descriptor)
            self._poll.register(descriptor, select.POLLIN)

    def _unwatch(self, descriptor: int) -> None:
        if descriptor in self._polled:
            self._polled.discard(descriptor)
            self._poll.unregister(descriptor)

    def _forget_pipe(self, descriptor: int) -> None:
        self._unwatch(descriptor)
        self._pipes.pop(descriptor, None)

    # ------------------------------------------------------------------------------------------------- requests

    def _serve_node(self) -> bool:
        """Answers what the node asked. False: the node is gone, or does not speak the language any more."""
        try:
            data = self._node.recv(RECEIVE_BYTES)
            if not data:
                return False
            for frame in self._frames.feed(data):
                self._tell(self._answer(frame))
        except (OSError, launcher_frames.BadFrame) as error:
            print(f"launcher: the connection to the node ended: {error}", file=sys.stderr, flush=True)
            return False
        return True

    def _tell(self, frame: Frame) -> None:
        self._node.sendall(launcher_frames.pack(frame))

    def _answer(self, frame: Frame | None) -> Frame:
        if frame is None:
            return {"n": None, "error": "not a JSON object"}
        number = frame.get("n")
        try:
            match frame.get("do"):
                case "spawn":
                    return {"n": number, "pid": self._spawn(frame)}
                case "signal":
                    os.killpg(self._find(frame).root.pid, _want(frame, "signal", int))
                case "kill":
                    running = self._find(frame)
                    launcher_trees.kill(self._members(running), self._group)
                case "freeze":
                    running = self._find(frame)
                    launcher_trees.freeze(running.root, self._others(running), self._pid)
                case "thaw":
                    running = self._find(frame)
                    launcher_trees.thaw(running.root, self._others(running), self._pid)
                case other:
                    raise BadRequest(f"unknown request {other!r}")
        except launcher_spawn.SpawnFailed as error:
            return {"n": number, "error": str(error), "step": error.step, "errno": error.number}
        except BadRequest as error:
            return {"n": number, "error": str(error)}
        except (OSError, OverflowError) as error:
            return {"n": number, "error": str(error)}
        return {"n": number}

    def _find(self, frame: Frame) -> Running:
        task = _want(frame, "task", str)
        running = self._tasks.get(task)
        if running is None or running.status is not None:
            raise BadRequest(f"task {task} does not run")
        return running

    def _spawn(self, frame: Frame) -> int:
        task, output, cwd = _want(frame, "task", str), _want(frame, "output", str), _want(frame, "cwd", str)
        argv, env = _want(frame, "argv", list), _want(frame, "env", dict)
        texts = [*argv, *env, *env.values()]
        if task in self._tasks:
            raise BadRequest(f"task {task} runs already")
        if len(self._tasks) >= TASKS_MAX:
            raise BadRequest(f"{TASKS_MAX} tasks run here, the most that one node may have")
        if not argv or not all(isinstance(text, str) for text in texts):
            raise BadRequest("argv and env are texts, and argv is not empty")
        out_read, out_write = os.pipe()
        err_read, err_write = os.pipe()
        try:
            pid = launcher_spawn.spawn(argv, env, cwd, out_write, err_write)
        except BaseException:
            os.close(out_read)
            os.close(err_read)
            raise
        finally:
            os.close(out_write)
            os.close(err_write)
        row = launcher_trees.read_process(pid)
        root = launcher_trees.Root(pid, env.get(launcher_trees.MARK, ""), row.start if row else 0)
        running = Running(task, root, Recorder(output, {out_read: "stdout", err_read: "stderr"}))
        self._tasks[task] = self._by_pid[pid] = running
        for descriptor in (out_read, err_read):
            os.set_blocking(descriptor, False)
            self._pipes[descriptor] = running
        return pid

    # ---------------------------------------------------------------------------------------------------- ends

    def _reap(self) -> None:
        """Collects every child that has ended: tasks, and orphans that became ours."""
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    return
                running = self._by_pid.pop(pid, None)
                if running is not None:
                    running.status = os.waitstatus_to_exitcode(status)
                    running.ended_at = running.look_at = time.monotonic()

    def _others(self, running: Running) -> list[launcher_trees.Root]:
        return [other.root for other in self._tasks.values() if other is not running]

    def _members(self, running: Running) -> list[launcher_trees.Process]:
        return launcher_trees.members(running.root, self._others(running), self._pid)

    def _is_proven_empty(self, running: Running, table: launcher_trees.Table | None) -> bool:
        """Nothing was found, and nothing can have slipped past the look (or it has looked for long enough)."""
        still = table is not None and not table.vanished
        return running.empty_looks > 0 and (still or running.empty_looks >= EMPTY_LOOKS_MAX)

    def _finish_ended(self, now: float) -> None:
        """Kills what ended tasks left behind; those that left nothing (any more) are reported."""
        due = [one for one in self._tasks.values() if one.status is not None and one.look_at <= now]
        table = launcher_trees.scan() if due else None
        for running in due:
            left = launcher_trees.members(running.root, self._others(running), self._pid, table)
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(running.root.pid, signal.SIGKILL)  # what never left its group: at once, seen or not
            running.empty_looks = 0 if left else running.empty_looks + 1
            if now < running.ended_at + LINGER_S and not self._is_proven_empty(running, table):
                launcher_trees.kill(left, self._group)
                running.look_at = now + running.pause_s
                running.pause_s = min(running.pause_s * 2, ENDING_PAUSE_MAX_S) if left else ENDING_PAUSE_S
                continue
            for descriptor in list(running.recorder.streams):
                self._forget_pipe(descriptor)
            running.recorder.finish()
            del self._tasks[running.task]
            last = running.recorder.last_error_line
            with contextlib.suppress(OSError):  # the node has just died: the next turn reads its end-of-file
                self._tell({"exit": running.task, "status": running.status, "last": last, "left": len(left)})


def _want(frame: Frame, key: str, kind: type[T]) -> T:
    value = frame.get(key)
    if not isinstance(value, kind):
        raise BadRequest(f"{key} is missing or no {kind.__name__}")
    return value


def _pipe() -> tuple[int, int]:
    read, write = os.pipe()
    os.set_blocking(read, False)
    os.set_blocking(write, False)
    return read, write


def main() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)  # only the node's end, or SIGKILL, ends a launcher
    launcher_spawn.become_subreaper()
    launcher_spawn.be_woken_by_death_of_parent()
    with socket.socket(fileno=0) as node:
        Launcher(node).run()


if __name__ == "__main__":
    main()

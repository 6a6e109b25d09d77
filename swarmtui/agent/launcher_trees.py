"""Which processes belong to which task: finding, killing, freezing them. Part of the launcher: standard library only.

A task is the process that the launcher forked, and everything that came from it. The launcher is a child subreaper, so
whoever loses its parent becomes the launcher's own child and is never lost. Whose it was is told, in this order, by

1. descent: an ancestor is the task's first process;
2. the session: every task starts in its own (setsid), and a session's number is not used again while it has a member;
3. the mark `SWARMTUI_TASK` in its environment, for those that made a session of their own.

An orphan that did even away with its environment belongs to nobody certain. It is taken for a task's when no other task
that lives was there before it; the end of the launcher takes it in any case.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time

MARK = "SWARMTUI_TASK"
FREEZE_PASSES_MAX = 20
KILL_ALL_PAUSE_MAX_S = 0.05
KILL_CHILDREN_S = 0.05  # the short way to the end of all tasks; after it the thorough one
KILL_CHILDREN_PAUSE_S = 0.001
EMPTY_LOOKS_MAX = 20  # so many looks at a table that changes under our eyes, all finding nothing, are believed


class Process:
    """One row of the process table. `start` is in clock ticks since boot (0 where the system does not say)."""

    __slots__ = ("group", "parent", "pid", "session", "start", "zombie")

    def __init__(self, pid: int, parent: int, group: int, session: int, start: int, zombie: bool) -> None:
        self.pid, self.parent, self.group, self.session = pid, parent, group, session
        self.start, self.zombie = start, zombie


def read_process(pid: int) -> Process | None:
    """One row, by /proc; None if there is no such process any more."""
    try:
        with open(f"/proc/{pid}/stat", "rb", buffering=0) as file:
            line = file.read(1024)
    except OSError:
        return None
    # The name of the program stands in brackets and may hold anything, brackets and blanks included.
    fields = line[line.rfind(b")") + 2 :].split()
    if len(fields) < 20:
        return None
    zombie = fields[0] in (b"Z", b"X")
    return Process(pid, int(fields[1]), int(fields[2]), int(fields[3]), int(fields[19]), zombie)


class Table(dict):  # type: ignore[type-arg]  # of Process by pid; generic classes would need typing
    """The process table. `vanished` counts processes that were listed and gone before they were read: while there are
    any, that nothing was found proves nothing, for a process that hops (forks and ends, again and again) is like that."""

    vanished = 0


def scan() -> Table:
    """The whole process table, the newest read first."""
    table = Table()
    if not os.path.isdir("/proc/self"):
        return _scan_by_ps(table)
    for pid in _pids():
        process = read_process(pid)
        if process is not None:
            table[pid] = process
        else:
            table.vanished += 1
    return table


def _pids() -> list[int]:
    return sorted((int(name) for name in os.listdir("/proc") if name.isdigit()), reverse=True)


def _scan_by_ps(table: Table) -> Table:
    """macOS has no /proc. Its `ps` prints no session: a group stands for it."""
    listing = _ps("-A", "-o", "pid=,ppid=,pgid=,stat=")
    for line in listing.splitlines():
        pid, parent, group, state = line.split()[:4]
        table[int(pid)] = Process(int(pid), int(parent), int(group), int(group), 0, state.startswith(b"Z"))
    return table


def _ps(*options: str) -> bytes:
    import subprocess  # as heavy as all the rest of the launcher, and Linux never needs it

    return subprocess.run(["ps", *options], capture_output=True, check=False).stdout


def mark_of(pid: int) -> str:
    """The value of SWARMTUI_TASK that a process was started with, "" if it has none or may not be looked at."""
    if sys.platform != "linux":
        line = _ps("-E", "-ww", "-o", "command=", "-p", str(pid))
        words = [word for word in line.split() if word.startswith(MARK.encode() + b"=")]
        return words[-1].partition(b"=")[2].decode("utf-8", "replace") if words else ""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            environment = file.read()
    except OSError:
        return ""
    found = (b"\0" + environment).rpartition(b"\0" + MARK.encode() + b"=")
    return found[2].split(b"\0", 1)[0].decode("utf-8", "replace") if found[1] else ""


class Root:
    """A task as this file sees it: its first process (dead or alive), its mark, and when it was started."""

    __slots__ = ("mark", "pid", "start")

    def __init__(self, pid: int, mark: str, start: int) -> None:
        self.pid, self.mark, self.start = pid, mark, start


def members(root: Root, others: list[Root], launcher: int, table: Table | None = None) -> list[Process]:
    """The living processes of a task, `others` being the tasks that live besides it. `table` is a fresh scan, if there
    is one already."""
    table = scan() if table is None else table
    owned = {other.pid for other in others}
    unclaimed_are_mine = not others
    found = []
    for process in table.values():
        if process.zombie or process.pid == launcher:
            continue
        top = _top(process, table, launcher)
        if top is None or top.pid in owned:
            continue
        if top.pid == root.pid or root.pid in (top.session, process.session):
            found.append(process)
        elif top.session not in owned:
            mark = mark_of(top.pid) or mark_of(process.pid)
            no_other = unclaimed_are_mine or all(other.start > top.start for other in others)
            if mark == root.mark or (not mark and no_other and top.start >= root.start):
                found.append(process)
    return found


def _top(process: Process, table: Table, launcher: int) -> Process | None:
    """The ancestor of a process that is a child of the launcher; None if it does not descend from the launcher.
    Without a subreaper (macOS) whoever lost its parent hangs from process 1, and may be ours by group or mark."""
    for _ in range(len(table)):
        if process.parent == launcher:
            return process
        if process.parent <= 1:
            return process if sys.platform != "linux" and mark_of(process.pid) else None
        parent = table.get(process.parent)
        if parent is None:
            return None
        process = parent
    return None


def below(tops: list[Process], table: Table) -> list[Process]:
    """These processes and everything that descends from them."""
    children: dict[int, list[Process]] = {}
    for process in table.values():
        children.setdefault(process.parent, []).append(process)
    found = {process.pid: process for process in tops}
    pending = list(found)
    while pending:
        for child in children.get(pending.pop(), ()):
            if child.pid not in found:
                found[child.pid] = child
                pending.append(child.pid)
    return list(found.values())


def kill(processes: list[Process], launcher_group: int) -> None:
    """SIGKILL, groups first: the kernel kills a group at once, so a chain of forks inside of one cannot run away."""
    for group in {process.group for process in processes} - {launcher_group, 0, 1}:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)
    send(processes, signal.SIGKILL)


def send(processes: list[Process], number: int) -> None:
    """A signal to each of them; those that have gone meanwhile are passed over."""
    for process in processes:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(process.pid, number)


def freeze(root: Root, others: list[Root], launcher: int) -> None:
    """SIGSTOP to every process of a task: again until a look finds none that it has not stopped."""
    stopped: set[int] = set()
    for _ in range(FREEZE_PASSES_MAX):
        fresh = [process for process in members(root, others, launcher) if process.pid not in stopped]
        if not fresh:
            return
        send(fresh, signal.SIGSTOP)
        stopped.update(process.pid for process in fresh)


def thaw(root: Root, others: list[Root], launcher: int) -> None:
    send(members(root, others, launcher), signal.SIGCONT)


def kill_all(launcher: int, marks: str) -> None:
    """SIGKILL to every descendant of the launcher, until there is none. Never gives up: were the launcher to end, its
    orphans would be lost. `marks` is what the marks of this launcher's tasks begin with (for macOS)."""
    own_group = os.getpgrp()
    if _kill_children(launcher, own_group):
        return
    pause_s = 0.0005
    empty = 0
    while True:
        _kill_newest_first(launcher)
        table = scan()
        living = []
        for process in table.values():
            if process.zombie or process.pid == launcher or _top(process, table, launcher) is None:
                continue
            if (
                sys.platform != "linux"
                and process.parent <= 1
                and not (marks and mark_of(process.pid).startswith(marks))
            ):
                continue
            living.append(process)
        empty = 0 if living else empty + 1
        if not living and (not table.vanished or empty == EMPTY_LOOKS_MAX):
            return
        kill(living, own_group)
        _reap_all()
        time.sleep(pause_s)
        pause_s = min(pause_s * 2, KILL_ALL_PAUSE_MAX_S)


def _kill_children(launcher: int, own_group: int) -> bool:
    """Where the kernel lists our children, what is nearly always enough: kill them and their groups until we have no child,
    for a subreaper without a child has no descendant. A look at the whole process table costs a hundred times as much, at
    the very moment at which the other managers need the processor for an election. False: not all of them in time."""
    if sys.platform != "linux":
        return False  # whoever lost its parent is no child of ours there
    stop_at = time.monotonic() + KILL_CHILDREN_S
    while time.monotonic() < stop_at:
        if _reap_all():
            return True
        try:
            with open(f"/proc/self/task/{launcher}/children", "rb", buffering=0) as file:
                children = [process for pid in file.read().split() if (process := read_process(int(pid))) is not None]
        except OSError:
            return False
        kill([child for child in children if not child.zombie], own_group)
        time.sleep(KILL_CHILDREN_PAUSE_S)
    return False


def _kill_newest_first(launcher: int) -> None:
    """Each child of the launcher, the moment it is seen. A process that hops (forks, ends, and its child makes a session
    and does the same) is an orphan of ours all the time, but gone before a whole scan has been looked through."""
    if not os.path.isdir("/proc/self"):
        return
    for pid in _pids():
        process = read_process(pid)
        if process is not None and process.parent == launcher and not process.zombie:
            send([process], signal.SIGKILL)


def _reap_all() -> bool:
    """Collects every child that has ended. True if there is no child, living or dead."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            continue
    except ChildProcessError:
        return True
    return False

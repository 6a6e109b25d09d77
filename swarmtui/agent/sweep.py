"""Finding and killing what a dead node left behind: processes that carry the mark of one of its tasks.

The last line of defence, for when a node *and* its launcher were killed at the same moment: then processes that left
their task's session live on under process 1. Used when a node starts, and by `up` and `down`. A process is ours only if
it runs as this user and its environment carries `SWARMTUI_TASK=<cluster id>/<node id>/<task id>`; what descends from it
goes with it. Pids are never trusted alone: psutil compares start times before each signal.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable

import psutil
import trio

from swarmtui.agent.launcher_trees import MARK, Table, below, mark_of, read_process, scan
from swarmtui.agent.launcher_trees import Process as ProcessRow

SWEEP_LIMIT_S = 5.0
SWEEP_PAUSE_S = 0.005

__all__ = ["MARK", "find_marked", "kill_marked", "kill_marked_blocking", "mark_for"]


def mark_for(cluster_id: str, node_id: str, task_id: str) -> str:
    """The value of SWARMTUI_TASK in the environment of a task."""
    return f"{cluster_id}/{node_id}/{task_id}"


def find_marked(cluster_id: str, node_id: str | None = None) -> list[psutil.Process]:
    """The living processes of this cluster's (or this node's) tasks and their descendants, our own user's only. Never
    this process or one that it descends from, even if it was itself started inside of a task."""
    prefix = f"{cluster_id}/{node_id}/" if node_id else f"{cluster_id}/"
    table = scan()
    spared = _ancestry(os.getpid(), table)
    marked = [row for row in table.values() if row.pid not in spared and _is_marked(row, prefix)]
    found = []
    for row in below(marked, table):
        if row.zombie or row.pid in spared:
            continue
        try:
            process = psutil.Process(row.pid)
        except psutil.Error:
            continue
        again = read_process(row.pid) if sys.platform == "linux" else row
        if again is not None and again.start == row.start:
            found.append(process)  # from here on psutil remembers its start time
    return found


def _is_marked(row: ProcessRow, prefix: str) -> bool:
    if row.zombie or row.pid <= 1:
        return False
    if sys.platform != "linux":
        return _is_marked_by_psutil(row.pid, prefix)
    try:
        return os.stat(f"/proc/{row.pid}").st_uid == os.getuid() and mark_of(row.pid).startswith(prefix)
    except OSError:
        return False


def _is_marked_by_psutil(pid: int, prefix: str) -> bool:
    try:
        process = psutil.Process(pid)
        return bool(process.uids().real == os.getuid() and process.environ().get(MARK, "").startswith(prefix))
    except (psutil.Error, OSError):  # gone meanwhile, or not to be looked at: then it is none of ours
        return False


def _ancestry(pid: int, table: Table) -> set[int]:
    """A process and everything that it descends from."""
    line = {pid}
    while (row := table.get(pid)) is not None and row.parent not in line:
        pid = row.parent
        line.add(pid)
    return line


def kill_marked_blocking(cluster_id: str, node_id: str | None = None, *, limit_s: float = SWEEP_LIMIT_S) -> list[int]:
    """SIGKILL to all of them, until none is found or the time is up. The pids that were killed."""
    killed: set[int] = set()
    deadline = time.monotonic() + limit_s
    while found := find_marked(cluster_id, node_id):
        _kill(found)
        killed.update(process.pid for process in found)
        if time.monotonic() >= deadline:
            break
        time.sleep(SWEEP_PAUSE_S)
    return sorted(killed)


def _kill(processes: Iterable[psutil.Process]) -> None:
    for process in processes:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
        except psutil.AccessDenied:
            continue


async def kill_marked(cluster_id: str, node_id: str | None = None, *, limit_s: float = SWEEP_LIMIT_S) -> list[int]:
    """`kill_marked_blocking` off the event loop."""
    return await trio.to_thread.run_sync(lambda: kill_marked_blocking(cluster_id, node_id, limit_s=limit_s))

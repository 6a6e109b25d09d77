"""Finding and killing what a dead node left behind: processes that carry the mark of one of its tasks.

The last line of defence, for when a node *and* its launcher were killed at the same moment: then processes that left
their task's session live on under process 1. Used when a node starts, and by `up` and `down`. A process is ours only if
it runs as this user and its environment carries `SWARMTUI_TASK=<cluster id>/<node id>/<task id>`; what descends from it
goes with it. Pids are never trusted alone: psutil compares start times before each signal.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable

import psutil
import trio

from swarmtui.agent.launcher_trees import MARK

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
    spared = _self_and_ancestors()
    own_user = os.getuid()
    children: dict[int, list[psutil.Process]] = {}
    found: dict[int, psutil.Process] = {}
    for process in psutil.process_iter():
        if process.pid in spared:
            continue
        try:
            with process.oneshot():
                if process.uids().real != own_user or process.status() == psutil.STATUS_ZOMBIE:
                    continue
                children.setdefault(process.ppid(), []).append(process)
                if process.environ().get(MARK, "").startswith(prefix):
                    found[process.pid] = process
        except psutil.Error:  # gone meanwhile, or not to be looked at: then it is none of ours
            continue
    _add_descendants(found, children)
    return list(found.values())


def _self_and_ancestors() -> set[int]:
    me = psutil.Process()
    try:
        return {me.pid, *(parent.pid for parent in me.parents())}
    except psutil.Error:
        return {me.pid, os.getppid()}


def _add_descendants(found: dict[int, psutil.Process], children: dict[int, list[psutil.Process]]) -> None:
    pending = list(found)
    while pending:
        for child in children.get(pending.pop(), ()):
            if child.pid not in found:
                found[child.pid] = child
                pending.append(child.pid)


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

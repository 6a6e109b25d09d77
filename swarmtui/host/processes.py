"""Signals to a node as to a machine: to its process, its launcher, and every process of its tasks.

The processes of a node are those below it in the tree and those that carry its mark (`agent.sweep`), which finds the ones
that left the tree. psutil compares pid and start time before each signal, so none reaches a stranger.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence

import psutil
import trio

LAUNCHER_ENDS_S = 1.0  # the launcher kills its tasks within this, once its node is gone
LOOK_S = 0.01
FREEZE_ROUNDS_MAX = 10  # a tree that grows while it is stopped is looked at again

Marked = Callable[[], Sequence[psutil.Process]]
"""Finds the processes that carry the mark of the node in question. Slow (reads every environment): run in a thread."""


def below(process: psutil.Process) -> list[psutil.Process]:
    """Every descendant that lives, parents before their children."""
    try:
        return process.children(recursive=True)
    except psutil.Error:
        return []


def children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children()
    except psutil.Error:
        return []


def send(process: psutil.Process, number: signal.Signals) -> bool:
    """False if the process is gone, or is not the one that was meant."""
    try:
        process.send_signal(number)
    except psutil.Error:
        return False
    return True


async def freeze(node: psutil.Process, marked: Marked) -> list[psutil.Process]:
    """SIGSTOP to everything of the node, the node first, until nothing new appears. Returns what was stopped, in order."""
    stopped: list[psutil.Process] = [node]
    send(node, signal.SIGSTOP)
    for _ in range(FREEZE_ROUNDS_MAX):
        found = below(node)
        fresh = [process for process in found if process not in stopped]
        if not fresh:
            break
        for process in fresh:
            send(process, signal.SIGSTOP)
        stopped += fresh
    for process in await trio.to_thread.run_sync(marked):
        if process not in stopped:
            send(process, signal.SIGSTOP)
            stopped.append(process)
    return stopped


async def thaw(node: psutil.Process, marked: Marked) -> None:
    """SIGCONT in the reverse order: the tasks, the launcher, the node."""
    found = below(node)
    strays = [process for process in await trio.to_thread.run_sync(marked) if process not in found]
    for process in [*reversed(strays), *reversed(found), node]:
        send(process, signal.SIGCONT)


async def crash(node: psutil.Process) -> None:
    """SIGKILL to the node and to everything of it, as if its machine had lost its power.

    The launcher alone is left to end by itself for a moment: it is the reaper of every process below it, so it finds
    also those that are made while we look.
    """
    found = below(node)
    launchers = [process for process in found if process in children(node)]
    send(node, signal.SIGKILL)
    for process in found:
        if process not in launchers:
            send(process, signal.SIGKILL)
    for launcher in launchers:
        send(launcher, signal.SIGCONT)
    await wait_ended(launchers, LAUNCHER_ENDS_S)
    for launcher in launchers:
        for process in [*below(launcher), launcher]:
            send(process, signal.SIGKILL)


async def wait_ended(some: Sequence[psutil.Process], limit_s: float) -> None:
    """Until none of them lives, or the limit. They are not our children, so there is nothing to wait on."""
    with trio.move_on_after(limit_s):
        while True:
            if not any(alive(process) for process in some):
                return
            await trio.sleep(LOOK_S)


def alive(process: psutil.Process) -> bool:
    """False of a zombie too."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False

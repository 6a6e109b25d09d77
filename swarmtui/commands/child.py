"""A program that runs in our place for a while: it has our standard streams, and its exit code becomes ours.

In a terminal it stays in our process group, so that Ctrl-C and Ctrl-Z mean it; elsewhere it has a group of its own, and
the end that we bring about reaches all of that. Signals that we are sent are handed on. On Linux the program also ends
when we are killed with SIGKILL. (It is started from the main thread itself: the kernel counts the death of the *thread*
that forked, and the threads that trio would fork in come and go.)
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from functools import partial

import trio

from swarmtui.commands.errors import FailedWith

STANDARD_INPUT = 0
NOT_FOUND, NOT_EXECUTABLE = 127, 126  # as shells say it
SIGNALED = 128  # and the number of the signal
PR_SET_PDEATHSIG = 1


async def run_program(argv: Sequence[str], environment: Mapping[str, str], grace_s: float) -> int:
    """Its exit code, 128 + n after signal n. When this is cancelled the program is sent SIGTERM and, once `grace_s` have
    passed, SIGKILL; it has ended when this returns. Raises FailedWith if it cannot be started."""
    own_group = not os.isatty(STANDARD_INPUT)
    handed_on = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
    with trio.open_signal_receiver(*handed_on) as signals:
        process = _start(argv, environment, own_group)
        send = partial(_send, process, own_group)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_hand_on, signals, send, own_group)
            ended = False
            try:
                await _ended(process)
                ended = True
            finally:
                with trio.CancelScope(shield=True):
                    if not ended:
                        await _ask_to_end(process, send, grace_s)
                    send(signal.SIGKILL)  # whoever is left in its group does not go on without us
                    await _ended(process)
                nursery.cancel_scope.cancel()
    code = process.wait()
    return code if code >= 0 else SIGNALED - code


def _start(argv: Sequence[str], environment: Mapping[str, str], own_group: bool) -> subprocess.Popen[bytes]:
    program = shutil.which(argv[0], path=environment.get("PATH", os.defpath))
    if program is None:
        raise FailedWith(f"{argv[0]}: no such program in PATH", NOT_FOUND)
    try:
        return subprocess.Popen(
            list(argv),
            executable=program,
            env=dict(environment),
            process_group=0 if own_group else None,
            preexec_fn=_die_with(os.getpid()),  # one system call; no other thread of ours holds a lock
        )
    except OSError as error:
        raise FailedWith(f"{argv[0]}: {error.strerror}", NOT_EXECUTABLE) from None


def _die_with(parent: int) -> Callable[[], None] | None:
    """What the copy does before it becomes the program, so that it ends with us. Linux only."""
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl

    def ask() -> None:
        prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
        if os.getppid() != parent:  # we were killed before it asked
            os.kill(os.getpid(), signal.SIGKILL)

    return ask


async def _ended(process: subprocess.Popen[bytes]) -> None:
    if not hasattr(os, "pidfd_open"):
        await trio.to_thread.run_sync(process.wait, abandon_on_cancel=True)
        return
    descriptor = os.pidfd_open(process.pid)
    try:
        await trio.lowlevel.wait_readable(descriptor)
    finally:
        os.close(descriptor)


async def _ask_to_end(process: subprocess.Popen[bytes], send: Callable[[int], None], grace_s: float) -> None:
    send(signal.SIGTERM)
    send(signal.SIGCONT)  # a stopped program could not hear
    with trio.move_on_after(grace_s):
        await _ended(process)


def _send(process: subprocess.Popen[bytes], own_group: bool, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if own_group:
            os.killpg(process.pid, number)
        elif process.returncode is None:  # it is not reaped before the end, so its pid is nobody else's
            os.kill(process.pid, number)


async def _hand_on(signals: AsyncIterator[int], send: Callable[[int], None], own_group: bool) -> None:
    async for number in signals:
        if own_group or number != signal.SIGINT:  # a terminal tells its whole foreground group
            send(number)

"""Leaving in order on a signal, and for certain when the terminal has gone.

Textual leaves the alternate screen on when it is killed politely, so SIGTERM and SIGHUP are answered by an ordinary exit.
A terminal that is closed takes more: Textual writes in a thread of its own, which the first failed write ends; the queue
before it fills, and the application waits for room in it for ever, deaf to its loop. So the death of that thread counts as
a hangup, the handlers are plain ones, which Python also runs while the main thread waits for a lock, and whoever has not
left in LEAVE_SECONDS is ended by the kernel.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType

LEAVE_SECONDS = 5  # longer than the connection takes to end


def leave_on_signals(leave: Callable[[int], object]) -> Callable[[], None]:
    """Call `leave(signal number)` on SIGTERM and SIGHUP; what is returned puts the handlers back that were there before.
    `leave` has to return at once, wherever the main thread stands."""
    if threading.current_thread() is not threading.main_thread():
        return lambda: None  # only there can signals be handled: an application under test

    def left(number: int, frame: FrameType | None) -> None:
        signal.alarm(LEAVE_SECONDS)  # unhandled: it ends the process
        leave(number)

    before = {number: signal.signal(number, left) for number in (signal.SIGTERM, signal.SIGHUP)}

    def forget() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    return forget


def hang_up_with_the_terminal() -> None:
    """Treat the end of a thread by a failed write to the terminal as SIGHUP."""
    others = threading.excepthook

    def ended(problem: threading.ExceptHookArgs) -> None:
        if isinstance(problem.exc_value, OSError) and problem.thread is not None and problem.thread.name == WRITER:
            os.kill(os.getpid(), signal.SIGHUP)
        else:
            others(problem)

    threading.excepthook = ended


WRITER = "textual-output"  # as Textual calls the thread that writes to the terminal

"""The one place where a task's process is made. Part of the launcher: standard library only, one thread only.

fork and exec by hand, because three things must happen between them: a session of its own, the signal that the kernel
sends when the launcher is gone (Linux), and the default handling of the signals that the launcher ignores (ignoring is
inherited through exec). Plain fork is safe here, and only here: the launcher never has a second thread.
"""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # linux/prctl.h
PR_SET_CHILD_SUBREAPER = 36
SIGNALS_RESET = (signal.SIGPIPE, signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGXFSZ, signal.SIGCHLD)

_prctl = ctypes.CDLL(None, use_errno=True).prctl if sys.platform == "linux" else None  # found before any fork


def be_woken_by_death_of_parent() -> None:
    """SIGCONT when the node dies (Linux): a launcher that was stopped together with its node must still hear of it."""
    if _prctl is not None and _prctl(PR_SET_PDEATHSIG, signal.SIGCONT, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")


class SpawnFailed(Exception):
    """`step` is what could not be done (chdir or exec), `number` the errno."""

    def __init__(self, step: str, number: int) -> None:
        super().__init__(f"{step}: {os.strerror(number)}")
        self.step, self.number = step, number


def become_subreaper() -> None:
    """From now on every descendant that loses its parent becomes a child of this process (Linux)."""
    if _prctl is not None and _prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def spawn(argv: list[str], env: dict[str, str], cwd: str, stdout: int, stderr: int) -> int:
    """Starts a program, argv[0] being the path to it, and gives its pid once exec has succeeded."""
    launcher = os.getpid()
    word_read, word_write = os.pipe()  # closed by a successful exec; else it brings the reason
    null = os.open(os.devnull, os.O_RDONLY)
    pid = os.fork()
    if pid == 0:
        _child(launcher, argv, env, cwd, (null, stdout, stderr), word_write)
    os.close(word_write)
    os.close(null)
    try:
        word = b""
        while chunk := os.read(word_read, 64):
            word += chunk
    finally:
        os.close(word_read)
    if word:
        os.waitpid(pid, 0)
        step, _, number = word.decode().partition(" ")
        raise SpawnFailed(step, int(number))
    return pid


def _child(
    launcher: int, argv: list[str], env: dict[str, str], cwd: str, streams: tuple[int, int, int], word: int
) -> None:
    """Runs in the new process and never returns."""
    step = "fork"
    try:
        os.setsid()
        if _prctl is not None:
            _prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            if os.getppid() != launcher:  # it died before the line above: no signal will come
                os._exit(127)
        for number in SIGNALS_RESET:
            signal.signal(number, signal.SIG_DFL)
        for target, stream in enumerate(streams):
            os.dup2(stream, target, inheritable=True)
        step = "chdir"
        os.chdir(cwd)
        step = "exec"
        os.execve(argv[0], argv, env)
    except OSError as error:
        os.write(word, f"{step} {error.errno or 0}".encode())
    except (ValueError, TypeError):  # a null byte in an argument, and the like
        os.write(word, f"{step} {errno.EINVAL}".encode())
    finally:
        os._exit(127)

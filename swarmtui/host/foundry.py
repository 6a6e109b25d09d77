"""The foundry: a process that has imported everything of a node, and makes nodes by copying itself (fork).

    host --{"fork": directory} + power pipe + log--> foundry --fork--> node
    host <--{"forked": pid}, {"ended": pid, "status": n}---------------'

Single-threaded and idle; nothing of trio has run in it, so a copy is as good as new. It ends with its host (end-of-file on
its socket); the nodes do not notice, for their power pipe is the host's. A node is not reaped before the host has said
that it has seen it, so that its pid cannot become a stranger's. Linux only; elsewhere nodes are fresh interpreters.

Imports only the standard library at the top: the host starts it before it imports anything itself.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

MESSAGE_BYTES_MAX = 64 * 1024
TITLE_BYTES = 4096  # room for the longest command line of a node
NODE_PROGRAM = "swarmtui.node.__main__"
WARM = (
    "swarmtui.node.run",
)  # what the program imports later, when it runs; `warm_up()` of each is called, if it has one


def start_foundry(program: str, warm: tuple[str, ...]) -> socket.socket | None:
    """Starts the foundry of this program (a module with `main(arguments) -> status`); returns the host's end of its
    socket. None where there are no foundries."""
    if not sys.platform.startswith("linux"):
        return None
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        room = " " * TITLE_BYTES  # copies write their own command line over this
        subprocess.Popen(
            [sys.executable, "-m", "swarmtui.host.foundry", str(theirs.fileno()), program, ",".join(warm), room],
            stdin=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
        )
    return ours


def main(arguments: list[str]) -> int:
    descriptor, program, warm = int(arguments[0]), arguments[1], arguments[2]
    set_title(f"{sys.executable} -m swarmtui.host.foundry")
    control = socket.socket(fileno=descriptor)
    run = importlib.import_module(program).main
    for name in filter(None, warm.split(",")):
        getattr(importlib.import_module(name), "warm_up", _nothing)()
    gc.collect()
    gc.freeze()  # what is there now stays shared between all copies
    _Foundry(control, run, program.removesuffix(".__main__")).serve()
    return 0


def _nothing() -> None:
    """What a module without `warm_up` does."""


class _Foundry:
    def __init__(self, control: socket.socket, run: Callable[[list[str]], int], title: str) -> None:
        self._control = control
        self._run = run
        self._title = title
        self._seen: set[int] = set()  # by the host, so they may be reaped
        self._bell, self._ring = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def serve(self) -> None:
        """Until the host has ended."""
        signal.set_wakeup_fd(self._ring, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        while True:
            ready, _, _ = select.select([self._control.fileno(), self._bell], [], [])
            if self._bell in ready:
                with contextlib.suppress(BlockingIOError):
                    os.read(self._bell, 4096)
            if self._control.fileno() in ready and not self._obey():
                return
            self._reap()

    def _obey(self) -> bool:
        data, descriptors, _, _ = socket.recv_fds(self._control, MESSAGE_BYTES_MAX, 2)
        if not data:
            return False
        order: dict[str, Any] = json.loads(data)
        if "seen" in order:
            self._seen.add(order["seen"])
            return True
        pid = os.fork()
        if pid == 0:
            self._become_node(order["fork"], *descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
        return self._tell({"forked": pid, "number": order["number"]})

    def _reap(self) -> None:
        for pid in tuple(self._seen):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                self._seen.discard(pid)
                self._tell({"ended": pid, "status": os.waitstatus_to_exitcode(status)})

    def _tell(self, message: dict[str, int]) -> bool:
        try:
            self._control.send(json.dumps(message).encode())
        except OSError:
            return False  # the host has ended
        return True

    def _become_node(self, directory: str, power: int, log: int) -> None:
        """Never returns: what a fresh interpreter would do with this program, and nothing of the foundry left."""
        status = 1
        try:
            os.setpgid(0, 0)
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for standard, descriptor in enumerate((power, log, log)):
                os.dup2(descriptor, standard)
            os.closerange(3, os.sysconf("SC_OPEN_MAX"))
            sys.argv = [self._title, directory]
            set_title(f"{sys.executable} -m {self._title} {directory}")
            status = self._run([directory])
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else 1
        except BaseException:
            traceback.print_exc()
        finally:
            with contextlib.suppress(OSError):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(status)


def set_title(title: str) -> None:
    """What `ps` shows: the command line is written over, as setproctitle(3) does. Nothing happens if there is no room."""
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    start, end = int(fields[45]), int(fields[46])  # arg_start and arg_end (proc(5), 48 and 49)
    text = title.encode()
    if not start or len(text) + 2 > end - start:
        return
    # The last byte is not zero: that tells the kernel that what is there is one text, which ends at the first zero.
    ctypes.memmove(start, text + bytes(end - start - len(text) - 1) + b" ", end - start)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

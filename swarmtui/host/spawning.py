"""Two ways to make a node's process: a fresh interpreter, or a copy of one that has everything imported (`foundry`).

Either way the host holds the writing end of the power pipe, which no other process ever has, and waits for the end. A copy
takes milliseconds where an interpreter takes half a second of a core, seven times over when a cluster starts.
"""

from __future__ import annotations

import array
import json
import os
import socket
import subprocess
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, cast

import attrs
import trio

from swarmtui.host.foundry import MESSAGE_BYTES_MAX
from swarmtui.whereabouts import PACKAGE_PARENT

FORK_LIMIT_S = 15.0  # the foundry may still be importing on a slow machine


class NodeProcess(Protocol):
    """A node's process, not reaped before `wait` returns: until then the pid is surely its own."""

    @property
    def pid(self) -> int: ...

    @property
    def pipe(self) -> trio.abc.SendStream:
        """The writing end of its power pipe."""

    async def wait(self) -> int | None:
        """Its exit status, or minus the signal that ended it; None if it ended and nobody can tell how."""


Spawn = Callable[[Path, int], Awaitable[NodeProcess]]
"""Makes the process of the node that lives in this directory; standard output and error go to the file descriptor. Raises
OSError."""


# -------------------------------------------------------------------------------------------------- fresh interpreters


@attrs.frozen
class FreshProcess:
    """A process of its own making."""

    process: trio.Process

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def pipe(self) -> trio.abc.SendStream:
        return cast(trio.abc.SendStream, self.process.stdin)

    async def wait(self) -> int | None:
        return await self.process.wait()


def spawn_fresh(command: Callable[[Path], Sequence[str]]) -> Spawn:
    """Nodes as commands. trio forks in a thread that ends, which is why no node asks to die with its parent's thread."""

    async def spawn(directory: Path, log: int) -> NodeProcess:
        return FreshProcess(
            await trio.lowlevel.open_process(
                [*command(directory)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                cwd=PACKAGE_PARENT,
                process_group=0,
            )
        )

    return spawn


# ---------------------------------------------------------------------------------------------------------- copies


class FoundryGone(OSError):
    """It has ended: no more copies."""


@attrs.define(eq=False)
class CopiedProcess:
    pid: int
    pipe: trio.abc.SendStream
    handle: int  # a pidfd: tells the end even if nobody is left to tell how
    told: trio.Event = attrs.field(factory=trio.Event)
    status: int | None = None

    async def wait(self) -> int | None:
        """The foundry tells; without it, the kernel tells that it is over."""
        await self.told.wait()
        if self.status is None:
            await trio.lowlevel.wait_readable(self.handle)
        os.close(self.handle)
        return self.status


class Foundry:
    """The host's end of the foundry. `run` hears what it tells, until it ends."""

    def __init__(self, control: socket.socket) -> None:
        self._control = trio.socket.from_stdlib_socket(control)
        self._copies: dict[int, CopiedProcess] = {}
        self._asked: dict[int, trio.MemorySendChannel[int]] = {}
        self._last = 0
        self._gone = False

    async def run(self) -> None:
        try:
            while data := await self._control.recv(MESSAGE_BYTES_MAX):
                self._hear(json.loads(data))
        except OSError:
            pass  # the same as its end
        finally:
            self._gone = True
            for channel in self._asked.values():
                channel.close()
            for copy in self._copies.values():
                copy.told.set()
            self._control.close()

    async def spawn(self, directory: Path, log: int) -> NodeProcess:
        """A copy that is the node of this directory. Raises FoundryGone, OSError."""
        read_end, write_end = os.pipe2(os.O_CLOEXEC)
        try:
            pid = await self._ask(directory, [read_end, log])
            handle = os.pidfd_open(pid)  # it is not reaped before we have said that we have seen it
        except BaseException:
            os.close(write_end)
            raise
        finally:
            os.close(read_end)
        copy = CopiedProcess(pid, trio.lowlevel.FdStream(write_end), handle)
        self._copies[pid] = copy
        await self._send({"seen": pid})
        return copy

    async def _ask(self, directory: Path, descriptors: list[int]) -> int:
        self._last += 1
        number = self._last
        send, receive = trio.open_memory_channel[int](1)
        self._asked[number] = send
        try:
            await self._send({"fork": str(directory), "number": number}, descriptors)
            with trio.fail_after(FORK_LIMIT_S):
                return await receive.receive()
        except (trio.EndOfChannel, trio.TooSlowError):
            raise FoundryGone("the foundry does not answer") from None
        finally:
            self._asked.pop(number, None)

    async def _send(self, message: dict[str, Any], descriptors: Sequence[int] = ()) -> None:
        if self._gone:
            raise FoundryGone("the foundry has ended")
        passed = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else []
        await self._control.sendmsg([json.dumps(message).encode()], passed)

    def _hear(self, message: dict[str, int]) -> None:
        if "forked" in message:
            channel = self._asked.get(message["number"])
            if channel is not None:
                channel.send_nowait(message["forked"])
        elif "ended" in message:
            copy = self._copies.pop(message["ended"], None)
            if copy is not None:
                copy.status = message["status"]
                copy.told.set()


def spawn_copies(foundry: Foundry, otherwise: Spawn) -> Spawn:
    """Copies as long as there is a foundry, then fresh interpreters."""

    async def spawn(directory: Path, log: int) -> NodeProcess:
        try:
            return await foundry.spawn(directory, log)
        except FoundryGone:
            return await otherwise(directory, log)

    return spawn

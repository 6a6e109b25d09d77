"""A node as the host sees one, and nothing behind it: `python -m tests.host.dummy_node DIRECTORY`.

It reads the handover, answers StopNode, SetLinkFaults and WatchRecords, holds one task with a child that left its session,
and ends at the end of the power pipe. What it was told lies in its directory: handover.json, links.json, pids.json.
A file `behave` there makes it misbehave: refuse, crash, deaf (StopNode is not answered).
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path

import attrs
import trio

from swarmtui.objects.codec import decode_json
from swarmtui.objects.manifest import NodeBirth
from swarmtui.wire.calls import Answer, Call
from swarmtui.wire.certificates import Identity, load_credentials
from swarmtui.wire.connection import Connection
from swarmtui.wire.listener import serve
from swarmtui.wire.node_calls import Done, Observe, RecordsChanged, SetLinkFaults, StopNode, WatchRecords
from swarmtui.wire.responder import answer_calls
from swarmtui.wire.rpc import CallRejected

TASK = "import os,subprocess,sys,time; subprocess.Popen([sys.executable,'-c','import os,time; os.setsid(); time.sleep(600)']); time.sleep(600)"


class DummyNode:
    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.birth = decode_json((directory / "node.json").read_bytes(), NodeBirth)
        own = self.birth.manifest.node(self.birth.node_id)
        assert own is not None
        self.own = own
        behave = directory / "behave"
        self.behave = behave.read_text() if behave.exists() else ""
        self.stop = trio.Event()

    def answer(self, call: Call, identity: Identity) -> Awaitable[Answer] | AsyncIterator[Answer]:
        match call:
            case StopNode():
                return self.stopped()
            case SetLinkFaults():
                return self.links(call)
            case WatchRecords():
                return self.records()
            case Observe():
                raise CallRejected("not-here", "a dummy has no events")
            case _:
                raise CallRejected("not-here", "a dummy")

    async def stopped(self) -> Done:
        self.write("asked.json", True)
        if self.behave == "deaf":
            await trio.sleep_forever()
        self.stop.set()
        return Done()

    async def links(self, call: SetLinkFaults) -> Done:
        self.write("links.json", [attrs.asdict(fault) for fault in call.faults])
        return Done()

    async def records(self) -> AsyncIterator[Answer]:
        yield RecordsChanged(index=1, reset=True, records=())
        await trio.sleep_forever()

    def write(self, name: str, value: object) -> None:
        beside = self.directory / (name + ".new")
        beside.write_text(json.dumps(value))
        beside.replace(self.directory / name)

    async def run(self) -> None:
        credentials = load_credentials(self.directory / "node.pem", self.directory / "ca.pem")
        async with trio.open_nursery() as nursery:
            await nursery.start(serve_forever, self.own.address, credentials, self.converse)
            self.write("ready.json", os.getpid())
            nursery.start_soon(self.until_power_cut, nursery.cancel_scope)
            await self.stop.wait()
            await trio.sleep(0.05)
            nursery.cancel_scope.cancel()

    async def converse(self, connection: Connection) -> None:
        await answer_calls(connection, self.answer)

    async def until_power_cut(self, scope: trio.CancelScope) -> None:
        stdin = trio.lowlevel.FdStream(os.dup(0))
        while await stdin.receive_some(100):
            pass
        print("power cut", flush=True)
        scope.cancel()


async def serve_forever(address: str, credentials: object, handler: object, task_status: object) -> None:
    await serve(address, credentials, handler, task_status=task_status)  # type: ignore[arg-type]


def main(arguments: list[str]) -> int:
    directory = Path(arguments[0])
    node = DummyNode(directory)
    if node.behave == "refuse":
        print("some words before")
        print("damaged log: segment 3 at byte 17; " + "what is to be done about it, in many words; " * 10 + "do it")
        return 3
    if node.behave == "crash":
        print("out of order", file=sys.stderr)
        return 1
    with os.fdopen(os.dup(0), "rb", buffering=0) as stdin:
        line = b""
        while not line.endswith(b"\n"):
            byte = stdin.read(1)
            if not byte:
                return 1  # the host died before it handed anything over
            line += byte
    (directory / "links.json").unlink(missing_ok=True)
    node.write("handover.json", json.loads(line))
    mark = f"{node.birth.manifest.id}/{node.birth.node_id}/task"
    task = subprocess.Popen(
        [sys.executable, "-c", TASK], env={**os.environ, "SWARMTUI_TASK": mark}, stdin=subprocess.DEVNULL
    )
    try:
        trio.run(node.run)
    finally:
        for process in _tree(task.pid):
            os.kill(process, signal.SIGKILL)
        task.wait()
    return 0


def _tree(pid: int) -> list[int]:
    import psutil

    root = psutil.Process(pid)
    return [pid, *(process.pid for process in root.children(recursive=True))]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

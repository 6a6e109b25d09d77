"""What the host's tests share: small cluster files, waiting with a limit, looking at processes."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import psutil
import trio

from swarmtui.agent.sweep import find_marked
from swarmtui.host.info import HostInfo, running_host
from swarmtui.host.layout import Layout
from swarmtui.host.start import ensure_host
from swarmtui.objects.cluster_file import ClusterFile, bare_cluster_file
from swarmtui.objects.manifest import Manifest
from swarmtui.wire.calls import Answer, Call
from swarmtui.wire.certificates import load_credentials
from swarmtui.wire.dial import dial
from swarmtui.wire.host_calls import GetHost, Heal, HostReport, NodePower
from swarmtui.wire.node_calls import Done
from swarmtui.wire.rpc import Caller

LIMIT_S = 10.0


def dummy_command(directory: Path) -> Sequence[str]:
    return [sys.executable, "-m", "tests.host.dummy_node", str(directory)]


def dummy_host_command(directory: Path) -> Sequence[str]:
    return [sys.executable, "-m", "tests.host.dummy_host", str(directory)]


def fresh_host_command(directory: Path) -> Sequence[str]:
    """A host whose nodes are fresh interpreters, as where there is no foundry."""
    return [sys.executable, "-m", "tests.host.dummy_host", "--fresh", str(directory)]


def small_file(managers: int = 3, workers: int = 1) -> ClusterFile:
    return bare_cluster_file("test", managers, workers)


async def until(condition: Callable[[], object], what: str, limit_s: float = LIMIT_S) -> None:
    """Returns when the condition holds; fails the test after the limit."""
    with trio.move_on_after(limit_s):
        while True:
            if condition():
                return
            await trio.sleep(0.01)
    raise AssertionError(f"not within {limit_s:g} s: {what}")


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def stopped(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_STOPPED
    except psutil.Error:
        return False


def marked(cluster_id: str) -> list[psutil.Process]:
    return find_marked(cluster_id)


@attrs.define
class Machine:
    """A cluster directory, and the orders that an admin gives to its host."""

    layout: Layout
    manifest: Manifest

    async def up(self) -> HostInfo:
        """The host runs, and every node that can has its port open."""
        info = await ensure_host(self.layout.directory, command=dummy_host_command)
        await self.until_power("running")
        return info

    async def whole(self) -> None:
        """Nothing that an earlier test broke is broken any more."""
        await ensure_host(self.layout.directory, command=dummy_host_command)
        await self.ask(Heal())
        await self.until_power("running")

    @asynccontextmanager
    async def calling(self, role: str = "admin") -> AsyncIterator[Caller]:
        """A connection to the host."""
        info = running_host(self.layout.directory)
        assert info is not None
        credentials = load_credentials(self.layout.certificate(role), self.layout.authority_certificate)
        connection = await dial(info.address, credentials, "host")
        async with connection, trio.open_nursery() as nursery:
            caller = Caller(connection)
            nursery.start_soon(caller.run)
            yield caller
            nursery.cancel_scope.cancel()

    async def ask(self, call: Call, *, role: str = "admin", timeout_s: float = 15.0) -> Answer:
        async with self.calling(role) as caller:
            return await caller.call(call, timeout_s)

    async def order(self, call: Call) -> str:
        """The order was obeyed."""
        answer = await self.ask(call)
        assert isinstance(answer, Done)
        assert not answer.refused, answer.refused
        return answer.text

    async def refused(self, call: Call) -> str:
        answer = await self.ask(call)
        assert isinstance(answer, Done)
        return answer.refused

    async def report(self) -> HostReport:
        answer = await self.ask(GetHost())
        assert isinstance(answer, HostReport)
        return answer

    async def node(self, name: str) -> NodePower:
        return next(node for node in (await self.report()).nodes if node.name == name)

    async def until_power(self, power: str, *names: str) -> None:
        """Until these nodes (or all) have this power, and those that run are ready."""
        with trio.move_on_after(LIMIT_S):
            while True:
                nodes = [node for node in (await self.report()).nodes if not names or node.name in names]
                if all(node.power == power and (power != "running" or self.ready(node)) for node in nodes):
                    return
                await trio.sleep(0.02)
        raise AssertionError(f"not {power} within {LIMIT_S:g} s: {(await self.report()).nodes}")

    def ready(self, node: NodePower) -> bool:
        return self.told(node.name, "ready.json") == node.pid

    def told(self, name: str, file: str) -> Any:
        """What the dummy node wrote into this file of its directory; None if it has not."""
        try:
            return json.loads((self.layout.node(name).directory / file).read_text())
        except FileNotFoundError:
            return None

    def tasks(self, name: str) -> list[psutil.Process]:
        """The processes of the node's tasks, wherever they went."""
        node = self.manifest.node(name)
        assert node is not None
        return find_marked(self.manifest.id, node.id)

    def behave(self, name: str, how: str) -> None:
        (self.layout.node(name).directory / "behave").write_text(how)

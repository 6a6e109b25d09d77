"""A cluster's certificates, and connections over real TLS or over memory."""

from __future__ import annotations

from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
import trio.testing

from swarmtui.wire.calls import Peerage
from swarmtui.wire.certificates import Authority, Credentials, Identity, create_authority, load_credentials
from swarmtui.wire.connection import Connection
from swarmtui.wire.dial import dial
from swarmtui.wire.faults import LinkFaults
from swarmtui.wire.incoming import Received
from swarmtui.wire.listener import serve

CLUSTER = "c" * 25
N1, N2, W1 = "n1".ljust(25, "0"), "n2".ljust(25, "0"), "w1".ljust(25, "0")


class Certified:
    """One cluster's authority and the credentials of its parts, on disk."""

    def __init__(self, directory: Path, cluster: str = CLUSTER) -> None:
        self.directory = directory
        self.authority: Authority = create_authority(cluster)
        self.ca = directory / "ca.pem"
        self.ca.write_bytes(self.authority.certificate_pem)
        self._made: dict[tuple[Peerage, str], Credentials] = {}

    def pem(self, role: Peerage, node_id: str = "") -> Path:
        path = self.directory / f"{role}-{node_id}.pem"
        if not path.exists():
            path.write_bytes(self.authority.issue(role, node_id, node_id[:2]).pem)
        return path

    def credentials(self, role: Peerage, node_id: str = "") -> Credentials:
        key = (role, node_id)
        if key not in self._made:
            self._made[key] = load_credentials(self.pem(role, node_id), self.ca)
        return self._made[key]


@pytest.fixture(scope="session")
def certified(tmp_path_factory) -> Certified:
    return Certified(tmp_path_factory.mktemp("certified"))


@pytest.fixture(scope="session")
def stranger(tmp_path_factory) -> Certified:
    """Another cluster with the same name."""
    return Certified(tmp_path_factory.mktemp("stranger"))


def identity(role: Peerage, node_id: str = "") -> Identity:
    return Identity(CLUSTER, role, node_id or str(role))


class MemoryStream:
    """A stream of trio.testing for a `Connection`: it takes nothing at once, everything when it is drained."""

    def __init__(self, stream) -> None:
        self._stream = stream
        self._unsent = b""
        self.receive_some, self.aclose = stream.receive_some, stream.aclose

    def write(self, data: bytes) -> bool:
        self._unsent += data
        return False

    async def hear(self, take) -> None:
        while take(await self.receive_some()):
            continue

    async def drain(self) -> None:
        unsent, self._unsent = self._unsent, b""
        await self._stream.send_all(unsent)


async def receive(connection: Connection) -> Received:
    """What arrives next, all of one moment; nothing once the connection has ended."""
    received: Received = []
    with trio.CancelScope() as scope:

        def take(messages: Received) -> None:
            received.extend(messages)
            scope.cancel()

        await connection.hear(take)
    return received


async def receive_all(connection: Connection) -> Received:
    """Everything up to the connection's end."""
    received: Received = []
    await connection.hear(received.extend)
    return received


def memory_pair(left: Identity, right: Identity, **options) -> tuple[Connection, Connection]:
    """The two ends of one connection without TLS: `left` is what the left end's certificate would say."""
    streams = [MemoryStream(end) for end in trio.testing.memory_stream_pair()]
    return Connection(streams[0], left, right, **options), Connection(streams[1], right, left, **options)


def set_faults(connection: Connection, faults: LinkFaults) -> LinkFaults:
    """As if the connection had been made under these faults."""
    connection._faults = connection._outgoing._faults = faults
    return faults


@asynccontextmanager
async def tls_pair(dialler: Credentials, listener: Credentials, **options):
    """The two ends of one connection over TLS and loopback, dialler's first."""
    accepted: list[Connection] = []
    arrived, leave = trio.Event(), trio.Event()

    async def handler(connection: Connection) -> None:
        accepted.append(connection)
        arrived.set()
        await leave.wait()

    async with trio.open_nursery() as nursery:
        address = await nursery.start(
            lambda task_status: serve("127.0.0.1:0", listener, handler, task_status=task_status, **options)
        )
        async with await dial(address, dialler, listener.identity.node_id) as connection:
            await arrived.wait()
            yield connection, accepted[0]
        leave.set()
        nursery.cancel_scope.cancel()

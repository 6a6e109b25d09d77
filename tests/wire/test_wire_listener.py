"""Who is admitted, who is refused with which reason, and that nobody can hold the door."""

import ssl
import time

import pytest
import trio
import trio.testing

from swarmtui.raft.messages import TimeoutNow
from swarmtui.wire.calls import Peerage
from swarmtui.wire.channels import Channel
from swarmtui.wire.connection import Connection
from swarmtui.wire.dial import DIAL_TIMEOUT_S, DialFailed, Refused, dial, parse_address, probe
from swarmtui.wire.faults import LinkFaults
from swarmtui.wire.listener import ListenerLimits, serve
from swarmtui.wire.node_calls import LinkFault
from tests.wire.conftest import N1, N2, W1


class Server:
    """A node that listens and keeps what was refused."""

    def __init__(self, credentials, nursery, **options) -> None:
        self.refused: list = []
        self.connections: list[Connection] = []
        self.told = trio.Event()
        self._options = options
        self._credentials = credentials
        self._nursery = nursery
        self.address = ""
        self._hear, self._heard = trio.open_memory_channel(10)

    async def start(self) -> "Server":
        self.address = await self._nursery.start(self._serve)
        return self

    async def _serve(self, task_status) -> None:
        await serve(
            "127.0.0.1:0",
            self._credentials,
            self._handle,
            on_refused=self._refused,
            task_status=task_status,
            **self._options,
        )

    def _refused(self, refusal) -> None:
        self.refused.append(refusal)
        self.told.set()

    async def _handle(self, connection: Connection) -> None:
        self.connections.append(connection)
        await connection.hear(self._take)

    def _take(self, messages) -> None:
        for received in messages:
            self._hear.send_nowait(received)

    async def heard(self):
        return await self._heard.receive()

    async def first_refusal(self):
        with trio.fail_after(5):
            await self.told.wait()
        return self.refused[0]


@pytest.fixture
async def server(certified, nursery) -> Server:
    return await Server(certified.credentials(Peerage.MANAGER, N2), nursery).start()


async def assert_unharmed(server: Server, certified) -> None:
    async with await dial(server.address, certified.credentials(Peerage.MANAGER, N1), N2) as connection:
        assert connection.identity.node_id == N2


async def raw(server: Server) -> trio.SocketStream:
    host, port = parse_address(server.address)
    return await trio.open_tcp_stream(host, port)


@pytest.mark.parametrize("rubbish", [b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 100_000, b"\x16\x03\x01\xff\xff" + bytes(50)])
async def test_rubbish_is_refused_by_name_and_the_server_unharmed(server, certified, rubbish):
    stream = await raw(server)
    with pytest.raises(trio.BrokenResourceError) if len(rubbish) > 99_999 else trio.move_on_after(5):
        await stream.send_all(rubbish)
        while await stream.receive_some(1000):
            continue
    assert (await server.first_refusal()).rule == "not-tls"
    assert server.refused[0].peer is None
    await assert_unharmed(server, certified)


async def stream_some(stream: trio.SocketStream) -> None:
    """The beginning of a TLS record, and nothing more."""
    await stream.send_all(b"\x16\x03\x01\x02\x00\x01")


async def test_a_caller_that_hangs_up_is_no_trouble_and_was_not_refused(server, certified):
    """A client that is done leaves the dials behind that it has begun: swarmtui up looked like an attack on each node."""
    stranger = await raw(server)
    await stream_some(stranger)
    await stranger.aclose()
    with trio.move_on_after(0.003):
        await dial(server.address, certified.credentials(Peerage.MANAGER, N1), N2)
    await assert_unharmed(server, certified)
    await trio.testing.wait_all_tasks_blocked(0.05)
    assert not server.refused


async def test_no_certificate_is_refused(server, certified):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(certified.ca)
    stream = trio.SSLStream(await raw(server), context, server_hostname=N2)
    await stream.do_handshake()  # in TLS 1.3 the dialler is ready before it is judged
    with pytest.raises(trio.BrokenResourceError):
        await stream.receive_some(1)
    assert (await server.first_refusal()).rule == "no-certificate"
    await assert_unharmed(server, certified)


async def test_tls_1_2_is_refused(server, certified):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.load_verify_locations(certified.ca)
    context.load_cert_chain(certified.pem(Peerage.MANAGER, N1))
    with pytest.raises(trio.BrokenResourceError):
        await trio.SSLStream(await raw(server), context, server_hostname=N2).do_handshake()
    assert (await server.first_refusal()).rule == "old-tls"


async def test_another_cluster_is_refused_on_both_sides(server, certified, stranger):
    with pytest.raises(DialFailed, match="not of this cluster"):
        await dial(server.address, stranger.credentials(Peerage.MANAGER, N1), N2)
    credentials = stranger.credentials(Peerage.MANAGER, N1)
    credentials.client.check_hostname = False
    credentials.client.verify_mode = ssl.CERT_NONE
    try:
        with pytest.raises(DialFailed):
            await dial(server.address, credentials, N2)
    finally:
        credentials.client.verify_mode = ssl.CERT_REQUIRED
        credentials.client.check_hostname = True
    # the first dialler said so in an alert
    assert [refusal.rule for refusal in server.refused] == ["wrong-cluster", "wrong-cluster"]
    await assert_unharmed(server, certified)


async def test_a_dial_reaches_the_node_that_was_meant_or_none(server, certified):
    with pytest.raises(DialFailed, match=f"not that of node {W1}"):
        await dial(server.address, certified.credentials(Peerage.MANAGER, N1), W1)


async def test_refused_means_that_nobody_listens_and_nothing_else(certified, nursery):
    listening = trio.socket.socket()
    await listening.bind(("127.0.0.1", 0))
    address = f"127.0.0.1:{listening.getsockname()[1]}"
    n1 = certified.credentials(Peerage.MANAGER, N1)
    with pytest.raises(Refused):
        await dial(address, n1, N2)
    assert await probe(address)
    listening.listen()
    started = time.monotonic()
    with pytest.raises(DialFailed, match=r"no answer in 0\.2 s") as caught:
        await dial(address, n1, N2, timeout_s=0.2)
    assert not isinstance(caught.value, Refused)
    assert time.monotonic() - started < DIAL_TIMEOUT_S, "what a dial waits by itself"
    assert not await probe(address)
    listening.close()


async def test_silent_strangers_cannot_hold_the_door(certified, nursery):
    limits = ListenerLimits(handshakes_max=4, handshake_timeout_s=60)
    server = await Server(certified.credentials(Peerage.MANAGER, N2), nursery, limits=limits).start()
    strangers = [await raw(server) for _ in range(20)]
    await assert_unharmed(server, certified)
    with trio.fail_after(5):
        assert await strangers[0].receive_some(1) == b""  # the one that waited longest had to go
    assert {refusal.rule for refusal in server.refused} == {"handshake-timeout"}


async def test_a_handshake_has_a_time_limit(certified, nursery):
    limits = ListenerLimits(handshake_timeout_s=0.05)
    server = await Server(certified.credentials(Peerage.MANAGER, N2), nursery, limits=limits).start()
    stream = await raw(server)
    with trio.fail_after(5):
        assert await stream.receive_some(1) == b""
    assert (await server.first_refusal()).rule == "handshake-timeout"


async def test_too_many_connections_are_refused_with_a_reason_but_managers_never(certified, nursery):
    limits = ListenerLimits(connections_max=1)
    server = await Server(certified.credentials(Peerage.MANAGER, N2), nursery, limits=limits).start()
    admin = certified.credentials(Peerage.ADMIN)
    async with await dial(server.address, admin, N2):
        with pytest.raises(DialFailed, match="1 connections stand already"):
            await dial(server.address, admin, N2)
        await assert_unharmed(server, certified)
    assert [refusal.rule for refusal in server.refused] == ["too-many"]


async def test_a_cut_link_is_not_dialled_and_not_answered(certified, nursery):
    """Each end alone is enough: the dialler does not dial, the listener accepts and then says nothing."""
    cut_here = LinkFaults([LinkFault(N2, cut_out=True)])
    faults = LinkFaults()
    server = await Server(certified.credentials(Peerage.MANAGER, N2), nursery, faults=faults).start()
    n1 = certified.credentials(Peerage.MANAGER, N1)
    with pytest.raises(DialFailed, match="no answer"):
        await dial(server.address, n1, N2, faults=cut_here, timeout_s=0.1)
    assert not await probe("127.0.0.1:1", node_id=N2, faults=cut_here, timeout_s=0.1)
    faults.set([LinkFault(N1, cut_in=True)])
    with pytest.raises(DialFailed, match="no answer"):
        await dial(server.address, n1, N2, timeout_s=0.2)
    async with await dial(server.address, certified.credentials(Peerage.ADMIN), N2):
        faults.set([])
    await assert_unharmed(server, certified)


async def test_a_dial_through_a_cut_ends_when_the_cut_does(server, certified):
    until = time.time() + 0.1
    faults = LinkFaults([LinkFault(N2, cut_in=True, until=until)])
    async with await dial(server.address, certified.credentials(Peerage.MANAGER, N1), N2, faults=faults):
        assert time.time() >= until


def test_an_address_is_host_and_port():
    assert parse_address("127.0.0.1:7101") == ("127.0.0.1", 7101)
    assert parse_address("[::1]:7101") == ("::1", 7101)
    for bad in ("", "host", ":1", "host:", "host:x", "host:70000"):
        with pytest.raises(ValueError, match="HOST:PORT"):
            parse_address(bad)


async def test_a_flood_of_dials_leaves_working_connections_alone(server, certified):
    n1 = certified.credentials(Peerage.MANAGER, N1)
    async with await dial(server.address, n1, N2) as connection:
        async with trio.open_nursery() as flood:
            for _ in range(100):
                flood.start_soon(raw, server)
        message = TimeoutNow(cluster="c", source=N1, target=N2, term=1)
        connection.send_soon(Channel.RAFT, message)
        with trio.fail_after(5):
            assert await server.heard() == (Channel.RAFT, message)


async def test_a_probe_is_no_stranger_to_be_told_of(server):
    assert not await probe(server.address)
    with trio.socket.socket() as silent:
        await silent.connect(("127.0.0.1", int(server.address.rpartition(":")[2])))
    await trio.testing.wait_all_tasks_blocked(0.05)
    assert server.refused == []

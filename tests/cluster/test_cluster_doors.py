"""Rubbish and strangers at every port: refused, told with a reason, and the node unharmed."""

import contextlib
import socket
import ssl
from pathlib import Path

import pytest
import trio

from swarmtui.host.create import read_authority
from swarmtui.host.layout import Layout
from swarmtui.objects.dispatch import Beat
from swarmtui.objects.identifiers import new_id
from swarmtui.objects.operations import Put, Transaction
from swarmtui.wire.calls import Peerage
from swarmtui.wire.certificates import Credentials, load_credentials
from swarmtui.wire.channels import Channel
from swarmtui.wire.dial import dial
from swarmtui.wire.node_calls import Fate, GetStatus, Propose, SetLinkFaults, StopNode
from swarmtui.wire.rpc import Caller, CallRefused
from tests.cluster.conftest import RealCluster, wait_for

pytestmark = pytest.mark.cluster

STOLEN = Transaction((Put("stolen", b"1"),))
ONE_PUT = Propose.of(STOLEN, timeout_s=2.0)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory):
    from tests.cluster.conftest import ended

    real = RealCluster(tmp_path_factory.mktemp("doors"))
    real.up(managers=3, workers=1)
    yield real
    ended(real)


@pytest.fixture(scope="module")
def worker(guarded: RealCluster, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The certificate of a worker of its own. With that of n4, which lives, a call is raced by n4: a manager keeps one
    connection to each node, and ends ours as soon as n4 has dialled again."""
    path = tmp_path_factory.mktemp("worker") / "node.pem"
    path.write_bytes(read_authority(Layout(guarded.data)).issue(Peerage.WORKER, new_id(), "n9").pem)
    return path


def address(real: RealCluster, name: str) -> tuple[str, int]:
    host, _, port = real.node(name)["address"].rpartition(":")
    return host, int(port)


def refusals(real: RealCluster) -> str:
    return real.run("events", "--no-follow", "--filter", "kind=refused").stdout


RUBBISH = {
    "not TLS": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "noise": bytes(range(256)) * 40,
    "a record that never ends": b"\x16\x03\x01\xff\xff" + b"\x00" * 100,
}


@pytest.mark.parametrize("what", sorted(RUBBISH))
def test_rubbish_at_any_port_is_refused_and_harms_nobody(guarded: RealCluster, what: str):
    pids = {node["name"]: node["pid"] for node in guarded.status()["nodes"]}
    targets = [address(guarded, name) for name in ("n1", "n4")]
    host, _, port = guarded.ask(read_host_address(guarded)).rpartition(":")
    for target in [*targets, (host, int(port))]:
        with socket.create_connection(target, timeout=5) as stranger:
            stranger.sendall(RUBBISH[what])
            stranger.shutdown(socket.SHUT_WR)
            stranger.settimeout(15)
            while stranger.recv(4096):
                continue
    wait_for("a refusal that is told", lambda: "refused" in refusals(guarded))
    assert {node["name"]: node["pid"] for node in guarded.status()["nodes"]} == pids
    guarded.run("kv", "put", "still", "writes")


def read_host_address(real: RealCluster):
    import json

    async def read(_cluster) -> str:
        return json.loads((real.data / "host.json").read_text())["address"]

    return read


def test_a_stranger_without_a_certificate_is_refused(guarded: RealCluster):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    heard = b""
    with (
        contextlib.suppress(ssl.SSLError, OSError),
        socket.create_connection(address(guarded, "n1"), timeout=5) as plain,
        context.wrap_socket(plain) as stranger,
    ):
        stranger.sendall(b"x" * 100)
        heard = stranger.recv(100)
    assert heard == b""
    wait_for("the refusal", lambda: "no certificate was shown" in refusals(guarded))


def call_with(real: RealCluster, certificate: Path, call, node: str = "n1"):
    """One call to a node with this certificate."""
    credentials: Credentials = load_credentials(certificate, real.data / "ca" / "ca.pem")
    entry = real.node(node)

    async def ask():
        with trio.fail_after(20):
            connection = await dial(entry["address"], credentials, entry["id"])
            async with connection, trio.open_nursery() as nursery:
                caller = Caller(connection)
                nursery.start_soon(caller.run)
                try:
                    return await caller.call(call)
                except CallRefused as error:
                    return error
                finally:
                    nursery.cancel_scope.cancel()

    return trio.run(ask)


@pytest.mark.parametrize("call", [ONE_PUT, SetLinkFaults(()), StopNode()], ids=lambda call: type(call).__name__)
@pytest.mark.parametrize("who", ["observer", "worker"])
def test_observers_and_workers_cannot_change_anything(guarded: RealCluster, worker: Path, who: str, call):
    answer = call_with(guarded, worker if who == "worker" else guarded.data / "observer.pem", call)
    assert isinstance(answer, CallRefused)
    assert answer.rule == "forbidden"
    assert guarded.run("kv", "get", "stolen", expect=1)
    wait_for("the refusal", lambda: f"may not make the call {type(call).__name__}" in refusals(guarded))


def test_an_observer_may_look(guarded: RealCluster):
    assert call_with(guarded, guarded.data / "observer.pem", GetStatus()).name == "n1"


def test_an_admin_of_another_cluster_is_refused(guarded: RealCluster, cluster: RealCluster):
    cluster.up(managers=1)
    with pytest.raises(Exception, match="is of cluster"):
        call_with(guarded, cluster.data / "admin.pem", GetStatus())


def test_a_worker_may_not_speak_raft(guarded: RealCluster, worker: Path):
    credentials = load_credentials(worker, guarded.data / "ca" / "ca.pem")
    entry = guarded.node("n1")

    async def speak() -> str:
        with trio.fail_after(20):
            connection = await dial(entry["address"], credentials, entry["id"])
            async with connection:
                connection.send_soon(Channel.RAFT, Beat("x"))
                await connection.hear(lambda _: None)
            return connection.ended or ""

    assert "raft" in trio.run(speak)
    assert guarded.ask(lambda cluster: cluster.propose(STOLEN))[0].fate is Fate.DONE
    guarded.run("kv", "delete", "stolen")

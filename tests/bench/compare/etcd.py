"""etcd: three members with Debian's defaults (fsync on), client and peer TLS with certificates made for the run.

The load is a Go program with etcd's own client (`tests/bench/etcd_load`), built here from Debian's packages.
"""

from __future__ import annotations

import datetime
import ipaddress
import os
import shutil
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.bench.compare.contender import Missing, free_ports
from tests.bench.compare.loader import Answer, Loader, Order

SOURCE = Path(__file__).parents[1] / "etcd_load"
DEBIAN_GO_PATH = "/usr/share/gocode"
MEMBERS = 3


class Etcd:
    name = "etcd"

    def __init__(self) -> None:
        self._members: list[subprocess.Popen[bytes]] = []
        self._endpoints: list[str] = []
        self._loader: Loader | None = None
        self._directory = Path()

    def describe(self) -> str:
        said = subprocess.run(["etcd", "--version"], capture_output=True, text=True, check=True).stdout
        version = said.splitlines()[0].rpartition(" ")[2]
        go = subprocess.run(["go", "version"], capture_output=True, text=True, check=True).stdout.split()[2]
        return f"etcd {version}, defaults: fdatasync of the log before every acknowledgement; TLS; Go client ({go})"

    def start(self, directory: Path) -> None:
        if shutil.which("etcd") is None:
            raise Missing("etcd is not installed: apt install etcd-server")
        load = build_load(directory)
        make_certificates(directory)
        self._directory = directory
        ports = free_ports(2 * MEMBERS)
        names = [f"e{number + 1}" for number in range(MEMBERS)]
        peers = [f"https://127.0.0.1:{port}" for port in ports[MEMBERS:]]
        self._endpoints = [f"https://127.0.0.1:{port}" for port in ports[:MEMBERS]]
        cluster = ",".join(f"{name}={peer}" for name, peer in zip(names, peers, strict=True))
        for name, client, peer in zip(names, self._endpoints, peers, strict=True):
            command = ["etcd", "--name", name, "--data-dir", str(directory / name), "--initial-cluster", cluster]
            command += ["--listen-client-urls", client, "--advertise-client-urls", client]
            command += ["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer]
            for side, who in (("", "member"), ("peer-", "member")):
                command += [f"--{side}cert-file", str(directory / f"{who}.pem")]
                command += [f"--{side}key-file", str(directory / f"{who}.key")]
                command += [f"--{side}trusted-ca-file", str(directory / "ca.pem"), f"--{side}client-cert-auth"]
            with (directory / f"{name}.log").open("wb") as output:
                self._members.append(subprocess.Popen(command, stdout=output, stderr=output))
        self._loader = Loader([str(load), str(directory), *self._endpoints])

    def pids(self) -> Mapping[str, int]:
        assert self._loader is not None
        leader = self._leader()
        followers = [member.pid for member in self._members if member.pid != leader]
        named = {f"follower {number}": pid for number, pid in enumerate(followers, 1)}
        return {"leader": leader, **named, "client": self._loader.pid}

    def _leader(self) -> int:
        """Whoever says in its log, last of all, that it became the leader."""
        became = {}
        for member, name in zip(self._members, ("e1", "e2", "e3"), strict=True):
            lines = (self._directory / f"{name}.log").read_text().splitlines()
            became[member.pid] = max((n for n, line in enumerate(lines) if "became leader" in line), default=-1)
        return max(became, key=lambda pid: became[pid])

    def can(self, order: Order) -> bool:
        return order.clients == 1

    def load(self, order: Order) -> Answer:
        assert self._loader is not None
        return self._loader.take(order)

    def end(self) -> None:
        if self._loader is not None:
            self._loader.end()
            self._loader = None
        for member in self._members:
            member.terminate()
        deadline = time.monotonic() + 5
        for member in self._members:
            try:
                member.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                member.kill()
                member.wait()
        self._members.clear()


def build_load(directory: Path) -> Path:
    """The program that loads etcd. Raises Missing."""
    built = directory / "etcd-load"
    if shutil.which("go") is None or not Path(DEBIAN_GO_PATH, "src/go.etcd.io/etcd/clientv3").is_dir():
        raise Missing("the load for etcd is a Go program: apt install golang-go golang-etcd-server-dev")
    environment = {**os.environ, "GO111MODULE": "off", "GOPATH": DEBIAN_GO_PATH, "GOFLAGS": ""}
    subprocess.run(["go", "build", "-o", str(built), "."], cwd=SOURCE, env=environment, check=True)
    return built


def make_certificates(directory: Path) -> None:
    """An authority, a certificate for the members and one for the client: ECDSA P-256, as this project's."""
    authority_key = ec.generate_private_key(ec.SECP256R1())
    authority = _certificate("authority", authority_key, "authority", authority_key, is_authority=True)
    (directory / "ca.pem").write_bytes(authority)
    for name in ("member", "client"):
        key = ec.generate_private_key(ec.SECP256R1())
        (directory / f"{name}.pem").write_bytes(_certificate(name, key, "authority", authority_key))
        encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        (directory / f"{name}.key").write_bytes(key.private_bytes(encoding, form, serialization.NoEncryption()))


def _certificate(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: str,
    issuer_key: ec.EllipticCurvePrivateKey,
    *,
    is_authority: bool = False,
) -> bytes:
    now = datetime.datetime.now(datetime.UTC)
    loopback = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost"), loopback]), critical=False)
    )
    return builder.sign(issuer_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

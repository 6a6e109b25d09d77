"""A cluster that answers by wire/rpc over real TLS, in one process: real certificates and the real store, no consensus.

Each node is what a test makes of it: dead (nobody listens), silent (it accepts and says nothing), deaf to one kind of call,
leading or not. All managers share one store; whoever is told to lead applies to it at once.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections import Counter
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import pytest
import trio

from swarmtui.client import Cluster, NotReached, connect, lookups
from swarmtui.host.identity import ProcessName
from swarmtui.objects.codec import encode, encode_json
from swarmtui.objects.events import Event
from swarmtui.objects.manifest import Manifest, NodeEntry
from swarmtui.objects.operations import Create, Transaction, Verdict
from swarmtui.objects.records import TABLES, KeyValue, Node, NodeStatus
from swarmtui.objects.specs import NodeSpec
from swarmtui.objects.states import NodeRole, NodeState
from swarmtui.objects.transactions import encode_transactions
from swarmtui.store import Store
from swarmtui.wire.calls import Peerage
from swarmtui.wire.certificates import Authority, create_authority, load_credentials
from swarmtui.wire.connection import Connection
from swarmtui.wire.host_calls import FaultReport, GetHost, HostReport, NodePower, Power
from swarmtui.wire.key_calls import Attest, Attestation, GetKeys, KeyRows
from swarmtui.wire.listener import serve
from swarmtui.wire.node_calls import (
    Consistency,
    Done,
    Fate,
    GetKey,
    GetStatus,
    ListRecords,
    Mark,
    NodeReport,
    Observe,
    Outcome,
    OutputLine,
    OutputLines,
    Propose,
    Proposed,
    Records,
    RecordsChanged,
    TaskOutput,
    WatchRecords,
)
from swarmtui.wire.responder import answer_calls
from swarmtui.wire.rpc import CallRejected
from swarmtui.wire.rules import NOT_A_MANAGER
from tests.ports import free_port

MANAGERS = ("n1", "n2", "n3", "n4", "n5")


def node_id(name: str) -> str:
    return name.ljust(25, "0")


class FakeNode:
    """One node; its attributes are what it says of itself."""

    def __init__(self, world: World, entry: NodeEntry, pem: Path) -> None:
        self.world = world
        self.entry = entry
        self.credentials = load_credentials(pem, world.ca)
        self.role = "follower" if entry.role is NodeRole.MANAGER else ""
        self.term = 3
        self.heard: tuple[str, ...] = MANAGERS
        self.index = 0  # applied; of the store if 0
        self.stale = False  # no quorum confirms its reads
        self.refuse: Outcome | None = None  # what it answers to every write
        self.swallows = 0  # answers to so many writes are lost: they are applied, and nobody says so
        self.disk = ""  # why it refuses writes
        self.lost = ""  # what the last proposal said of a dead leader
        self.deaf_to: tuple[type, ...] = ()  # calls that it takes and never answers
        self.refuses: tuple[type, ...] = ()  # calls that it takes for those of a manager, which it is no more
        self.paused: trio.Event | None = None  # until then it takes what is asked, and answers afterwards
        self.rows_max: int | None = None  # in one answer
        self.confirmed: list[GetKeys] = []  # reads that it was asked to confirm by itself
        self.calls: Counter[str] = Counter()
        self.events: list[Event] = []
        self.event_moved = trio.Event()
        self.connections: list[Connection] = []
        self.output: dict[str, list[str]] = {}  # lines by task
        self._life: trio.CancelScope | None = None
        self._ended = trio.Event()  # nothing of this life holds the port any more

    # ------------------------------------------------------------------------------------------------------ its life

    async def start(self) -> None:
        await self.world.nursery.start(self._serve)

    async def _serve(self, task_status) -> None:
        self._ended = trio.Event()
        with trio.CancelScope() as self._life:
            await serve(self.entry.address, self.credentials, self._handle, task_status=task_status)
        self._ended.set()

    async def _handle(self, connection: Connection) -> None:
        self.connections.append(connection)
        await answer_calls(connection, self.answer)

    async def die(self) -> None:
        """Nobody listens any more, and every connection is gone without a word."""
        assert self._life is not None
        for connection in self.connections:
            await trio.aclose_forcefully(connection._stream)
        self.connections.clear()
        self._life.cancel()
        with trio.fail_after(10):
            await self._ended.wait()
        await trio.testing.wait_all_tasks_blocked()

    def fall_silent(self) -> None:
        """As a paused process: what is sent is taken, and nothing is ever answered."""
        self.deaf_to = (object,)

    def tell(self, kind: str, text: str, at: float | None = None) -> None:
        seq = self.events[-1].seq + 1 if self.events else 1
        self.events.append(Event(at or time.time(), self.entry.name, seq, kind, text))
        self.event_moved.set()
        self.event_moved = trio.Event()

    # -------------------------------------------------------------------------------------------------- what it says

    def answer(self, call, who):
        self.calls[type(call).__name__] += 1
        match call:
            case Observe():
                return self._observe(call)
            case WatchRecords():
                return self._watch(call)
            case TaskOutput():
                if call.task_id not in self.output:
                    raise CallRejected("absent", f"there is no task {call.task_id} on {self.entry.name}")
                return self._output(call)
            case _:
                return self._one(call)

    async def _one(self, call):
        if isinstance(call, self.deaf_to):
            await trio.sleep_forever()
        if isinstance(call, self.refuses):
            raise CallRejected(NOT_A_MANAGER, f"{self.entry.name} is a worker")
        if self.paused is not None:
            await self.paused.wait()
        match call:
            case GetStatus():
                return self.report()
            case Propose():
                answer = Proposed(self._propose(call))
                if self.swallows:
                    self.swallows -= 1
                    await trio.sleep_forever()
                return answer
            case ListRecords() | GetKey():
                return self._records(call)
            case GetKeys():
                why = "no leader is known" if self.stale else ""
                rows = tuple(self.world.store.key_rows(call.keys))[: self.rows_max]
                word = self.word(call.asked) if call.asked else None
                if word is None:
                    self.confirmed.append(call)
                return KeyRows(self.applied, self.term, () if why else rows, why, word)
            case Attest():
                return self.word(call.asked)
            case _:
                return await self.world.answer(self, call)

    def report(self) -> NodeReport:
        members = tuple((node_id(name), name) for name in MANAGERS)
        return NodeReport(
            node_id=self.entry.id, name=self.entry.name, address=self.entry.address, pid=1000 + int(self.entry.name[1]),
            role=str(self.entry.role), raft_role=self.role, term=self.term if self.role else 0, leader_id="", vote="",
            first=1, last=self.applied + 1, commit=self.applied, applied=self.applied, snapshot=0,
            voters=members if self.role else (), heard=tuple(node_id(name) for name in self.heard) if self.role else (),
            holds_quorum=self.leads, timer_left_s=None, timer_total_s=None, leader_since=None, peers=(),
            started_at=1.0, election_timeout_s=0.5, disk=self.disk,
        )  # fmt: skip

    def word(self, asked: tuple[str, ...]) -> Attestation:
        """As those of the real consensus: whom it follows, or how far it has come and with whom it decides."""
        leading = [node for node in self.world.nodes.values() if node.leads and node.term <= self.term]
        leader = max(leading, key=lambda node: node.term, default=None)
        if leader is self and len(asked) >= 3:
            return Attestation(self.entry.id, self.term, self.entry.id, self.world.store.index, tuple(asked))
        return Attestation(self.entry.id, self.term, leader.entry.id if leader else "")

    @property
    def leads(self) -> bool:
        return self.role == "leader" and len(self.heard) >= 3

    @property
    def applied(self) -> int:
        return self.index or self.world.store.index

    def _propose(self, call: Propose) -> tuple[Outcome, ...]:
        self.world.batches.append((self.entry.name, call.count))
        self.lost = call.lost
        if self.refuse is not None:
            return (self.refuse,) * call.count
        if not any(node.leads for node in self.world.nodes.values()):
            reason = f"no quorum: {len(self.heard)} of 5 managers answer, 3 are needed"
            refused = Outcome(Fate.REFUSED, None, "no-quorum", reason, len(self.heard), 3, 5)
            return (refused,) * call.count
        return tuple(self.world.apply(encoded) for encoded in call.bundle.parts())

    def _records(self, call: ListRecords | GetKey) -> Records:
        store = self.world.store
        stale = self.stale or call.consistency is Consistency.STALE
        if stale and call.consistency is Consistency.LINEARIZABLE:
            return Records(self.applied, self.term, True, (), refused="no leader is known")
        if isinstance(call, GetKey):
            found = store.get(KeyValue, call.key)
            return Records(self.applied, self.term, stale, () if found is None else (found,))
        return Records(self.applied, self.term, stale, self.world.select(call.tables, call.prefix))

    async def _observe(self, call: Observe):
        seq = self.events[-1].seq if call.after_seq == 0 and self.events else max(0, call.after_seq)
        while True:
            moved = self.event_moved
            for event in [event for event in self.events if event.seq > seq]:
                yield event
                seq = event.seq
            if not call.follow:
                return
            if call.marks:
                yield Mark(self.entry.id, 1.0, self.role, self.term, "", 1, 1, 1, 1, (), False, None, None)
            await moved.wait()

    async def _output(self, call: TaskOutput):
        for text in self.output[call.task_id]:
            yield OutputLines(call.task_id, (OutputLine(1.0, "stdout", text),))

    async def _watch(self, call: WatchRecords):
        store = self.world.store
        everything = self.world.select(call.tables, call.prefix)
        middle = len(everything) // 2
        yield RecordsChanged(store.index, True, everything[:middle], more=True)
        yield RecordsChanged(store.index, False, everything[middle:])
        while True:
            moved, known = self.world.moved, {(r.TABLE, r.id): r for r in self.world.select(call.tables, call.prefix)}
            await moved.wait()
            now = {(r.TABLE, r.id): r for r in self.world.select(call.tables, call.prefix)}
            written = tuple(record for key, record in now.items() if known.get(key) is not record)
            yield RecordsChanged(store.index, False, written, tuple(key for key in known if key not in now))


class World:
    """Everything that is not the client: nodes, host, store, and the directory that `connect` reads."""

    def __init__(self, base: Path, authority: Authority, nursery: trio.Nursery, workers: int = 1) -> None:
        self.directory = base / ".swarmtui"
        (self.directory / "ca").mkdir(parents=True, mode=0o700)
        self.directory.chmod(0o700)
        self.ca = self.directory / "ca" / "ca.pem"
        self.ca.write_bytes(authority.certificate_pem)
        self.authority = authority
        self.nursery = nursery
        self.store = Store()
        self.moved = trio.Event()
        self.batches: list[tuple[str, int]] = []
        self.orders: list = []
        self.host_refuses = ""
        self.powers: dict[str, Power] = {}
        self.faults: tuple[FaultReport, ...] = ()
        self._host_life: trio.CancelScope | None = None
        names = [*MANAGERS, *(f"n{6 + number}" for number in range(workers))]
        self.manifest = Manifest(
            id=authority.cluster_id,
            name="test",
            profile="fast",
            created_at=1.0,
            nodes=tuple(self._entry(name) for name in names),
        )
        (self.directory / "cluster.json").write_text(encode_json(self.manifest))
        for role in (Peerage.ADMIN, Peerage.OBSERVER, Peerage.HOST):
            self._pem(str(role), role)
        self.nodes = {
            entry.name: FakeNode(self, entry, self._pem(entry.name, Peerage(str(entry.role)), entry.id))
            for entry in self.manifest.nodes
        }

    def _entry(self, name: str) -> NodeEntry:
        role = NodeRole.MANAGER if name in MANAGERS else NodeRole.WORKER
        return NodeEntry(id=node_id(name), name=name, role=role, address=f"127.0.0.1:{free_port()}")

    def _pem(self, name: str, role: Peerage, id: str = "") -> Path:
        path = self.directory / f"{name}.pem"
        path.write_bytes(self.authority.issue(role, id, name).pem)
        return path

    async def start(self, leader: str = "n1") -> None:
        for node in self.nodes.values():
            await node.start()
            self.apply(encode(Transaction((Create(_node_record(node.entry)),))))
        if leader:
            self.nodes[leader].role = "leader"

    # -------------------------------------------------------------------------------------------------------- store

    def apply(self, transaction: bytes) -> Outcome:
        data = encode_transactions([transaction], time.time())
        (result,) = self.store.apply(self.store.index + 1, 3, data)
        self.moved.set()
        self.moved = trio.Event()
        if result.verdict is Verdict.DONE:
            return Outcome(Fate.DONE, result)
        return Outcome(Fate.REFUSED, result, str(result.verdict), result.text)

    def select(self, tables, prefix: str):
        return tuple(
            record
            for table in tables
            for record in sorted(self.store.all(TABLES[table]), key=lambda record: record.id)
            if record.id.startswith(prefix)
        )

    # --------------------------------------------------------------------------------------------------------- host

    async def start_host(self) -> None:
        await self.nursery.start(self._serve_host)

    async def _serve_host(self, task_status) -> None:
        credentials = load_credentials(self.directory / "host.pem", self.ca)
        self.host_events = FakeNode(
            self, attrs.evolve(self.manifest.nodes[0], name="host"), self.directory / "host.pem"
        )

        async def handle(connection: Connection) -> None:
            await answer_calls(connection, self._host_answer)

        with trio.CancelScope() as self._host_life:
            async with trio.open_nursery() as nursery:
                address = await nursery.start(
                    lambda task_status: serve("127.0.0.1:0", credentials, handle, task_status=task_status)
                )
                name = ProcessName.of(os.getpid())
                info = {"pid": name.pid, "start_time": name.start_time, "boot_id": name.boot_id, "address": address}
                (self.directory / "host.json").write_text(json.dumps(info))
                task_status.started()

    def stop_host(self) -> None:
        assert self._host_life is not None
        self._host_life.cancel()
        (self.directory / "host.json").unlink()

    def _host_answer(self, call, who):
        return self.host_events._observe(call) if isinstance(call, Observe) else self._host_one(call)

    async def _host_one(self, call):
        if isinstance(call, GetHost):
            nodes = tuple(
                NodePower(
                    entry.id, entry.name, str(entry.role), entry.address, 7, self.powers.get(entry.name, Power.RUNNING)
                )
                for entry in self.manifest.nodes
            )
            return HostReport("test", self.manifest.id, 1, nodes, self.faults, {}, (), str(self.directory))
        self.orders.append(call)
        return Done(f"done {type(call).__name__}", self.host_refuses)

    async def answer(self, node: FakeNode, call):
        raise CallRejected("not-here", f"{node.entry.name} was not made for {type(call).__name__}")


def _node_record(entry: NodeEntry) -> Node:
    return Node(
        id=entry.id,
        spec=NodeSpec(name=entry.name, role=entry.role),
        status=NodeStatus(NodeState.READY),
        role=entry.role,
    )


@pytest.fixture(scope="session")
def authority() -> Authority:
    return create_authority("c" * 25)


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a manager's word: it is given by this very process, which may be busy."""
    monkeypatch.setattr(lookups, "WORD_PATIENCE_S", 5.0)


@pytest.fixture
def world(tmp_path: Path, authority: Authority, nursery: trio.Nursery) -> World:
    """Not started yet."""
    return World(tmp_path, authority, nursery)


@asynccontextmanager
async def connected(world: World, role: str = "admin"):
    """A client whose connections stand: all ends of all handshakes share this one process, and a busy machine shall not
    look like a silent node."""
    cluster: Cluster
    async with connect(world.directory, role=role) as cluster:
        for node in world.nodes.values():
            with contextlib.suppress(NotReached):
                await cluster.link(node.entry.name).caller(10.0)
        yield cluster


@pytest.fixture
async def cluster(world: World):
    """A client of a world in which n1 leads."""
    await world.start()
    async with connected(world) as cluster:
        yield cluster

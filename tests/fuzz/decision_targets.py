"""Machines: the bytes decide what is asked of them and in which order. No crash, no disagreement of replicas, no lost ack."""

from __future__ import annotations

from collections import defaultdict, deque
from contextlib import suppress

from swarmtui.objects import codec
from swarmtui.objects.operations import (
    Advance,
    Create,
    Operation,
    Put,
    Remove,
    Require,
    Transaction,
    Update,
    Verdict,
)
from swarmtui.objects.records import KeyValue, Node, Service, Task, TaskStatus
from swarmtui.objects.specs import EndpointSpec, NodeSpec, PortConfig, ReplicatedMode, ServiceSpec
from swarmtui.objects.states import Availability, TaskState
from swarmtui.objects.transactions import encode_transactions
from swarmtui.raft.core import RaftCore
from swarmtui.raft.entries import Entry, EntryKind
from swarmtui.raft.inputs import Received
from swarmtui.raft.invariants import InvariantViolation
from swarmtui.raft.messages import (
    AnyMessage,
    Append,
    AppendReply,
    ReadReply,
    ReadRequest,
    SnapshotChunk,
    SnapshotReply,
    TimeoutNow,
    VoteReply,
    VoteRequest,
)
from swarmtui.store import Store
from swarmtui.store.validation import check
from tests.fuzz.bytes_targets import MARK
from tests.fuzz.source import Source
from tests.raft.script import Script

IDS = ("", "a", "b", "c", "\ud800", "x" * 70)
NAMES = ("web", "WEB", "db", "no good", "")
NUMBERS = (0, 1, 2, 3, 5, 1 << 62, -1)
SCRIPT_NODES = ("n1", "n2", "n3")
STEPS_MAX = 500


# ------------------------------------------------------------------------------------------------------- transactions


def transactions(data: bytes) -> None:
    """Any transactions, valid or not: a named refusal or the same result on two replicas; a third, restored from a
    snapshot half way, ends in the same state. What `check` allows is never INVALID when it is applied to an id that is."""
    source = Source(data)
    one, two, restored = Store(), Store(), Store()
    index = 0
    while not source.is_spent and index < STEPS_MAX:
        index += 1
        transaction = Transaction(tuple(_operation(source) for _ in range(source.below(3))))
        try:
            encoded = codec.encode(transaction)
        except codec.MalformedObject:
            assert check(transaction) is not None
            index -= 1
            continue
        entry = encode_transactions([encoded], float(index))
        results = one.apply(index, 1, entry)
        assert results == two.apply(index, 1, entry)
        assert len(results) == 1
        assert all(result.verdict in Verdict and result.index == index for result in results)
        if index == 5:
            restored.restore(one.freeze().chunks())
        elif index > 5:
            assert restored.apply(index, 1, entry) == results
    assert one.digest() == two.digest()
    if index > 5:
        assert restored.digest() == one.digest()


def _operation(source: Source) -> Operation:
    kind = source.below(6)
    if kind == 0:
        return Put(source.choose(IDS), source.take(source.below(4)), source.choose((None, *NUMBERS)))
    if kind == 1:
        status = None if source.often(2) else TaskStatus(source.choose(tuple(TaskState)), timestamp=source.below(9))
        desired = source.choose((None, *TaskState))
        return Advance(source.choose(IDS), status, desired, source.choose((None, *IDS)))
    if kind == 2:
        return Remove(source.choose(_TABLES), source.choose(IDS), source.choose((None, *NUMBERS)))
    if kind == 3:
        return Require(source.choose(_TABLES), source.choose(IDS), source.choose((None, *NUMBERS)))
    record = _record(source)
    return Create(record) if kind == 4 else Update(record, version=source.choose((None, *NUMBERS)))


_TABLES = ("service", "task", "node", KeyValue.TABLE, "nonsense")


def _record(source: Source) -> Service | Task | Node:
    id, name = source.choose(IDS), source.choose(NAMES)
    kind = source.below(3)
    if kind == 0:
        ports = tuple(PortConfig(source.choose((0, 80, 8080, 70_000))) for _ in range(source.below(3)))
        mode = ReplicatedMode(source.choose(NUMBERS))
        return Service(id=id, spec=ServiceSpec(name, mode=mode, endpoint_spec=EndpointSpec(ports)))
    if kind == 1:
        state = source.choose(tuple(TaskState))
        return Task(id=id, service_id=source.choose(IDS), service_name=name, slot=1, status=TaskStatus(state))
    return Node(id=id, spec=NodeSpec(name=name, availability=source.choose(tuple(Availability))))


# ----------------------------------------------------------------------------------------------------------- messages


def peer_messages(data: bytes) -> None:
    """One manager, and two peers who say anything at any time. What no honest peer can say may stop the node by a named
    rule; anything else that is raised is a bug."""
    source = Source(data)
    script = Script()
    script.do_cluster("3")
    script.paths = defaultdict(deque, script.paths)  # answers to a stranger as well
    if source.often(4):
        script.do_lead("n1")
    core = script.core("n1")
    steps = 0
    with suppress(InvariantViolation):
        while not source.is_spent and steps < STEPS_MAX:
            steps += 1
            if source.often(2):
                script.do_pass(source.choose(("0.01", "0.3", "1.1")), "n1")
            else:
                script.feed("n1", Received(_message(source, core)))
            if source.often(4):
                script.do_sync("n1")


def _message(source: Source, core: RaftCore) -> AnyMessage:
    term = max(1, core.term + source.choose((0, 0, 0, 1, -1, 1000)))
    head = {"cluster": "c", "source": source.choose(("n2", "n3", "n9", "n1")), "target": "n1", "term": term}
    index = max(0, core.log.last + source.choose((0, 0, 1, -1, -2, 50, 1 << 60)))
    kind = source.below(9)
    if kind == 0:
        return VoteRequest(**head, last_index=index, last_term=_term(source, core), pre=source.often(4))
    if kind == 1:
        return VoteReply(**head, granted=source.often(4), pre=source.often(4))
    if kind == 2:
        entries = tuple(_entry(index + 1 + i, term) for i in range(source.below(3)))
        commit = max(0, index + source.choose((0, 1, -1, 1 << 40)))
        return Append(
            **head,
            session=source.below(3),
            previous_index=index,
            previous_term=_term(source, core),
            commit=commit,
            round=source.below(3),
            entries=entries,
        )
    if kind == 3:
        return AppendReply(
            **head,
            session=source.below(3),
            accepted=source.often(5),
            match=index,
            previous_index=index,
            conflict_index=source.below(9),
            conflict_term=_term(source, core),
            round=source.choose((0, 1, 1 << 40)),
        )
    if kind == 4:
        piece = source.take(source.below(9))
        return SnapshotChunk(
            **head, session=source.below(3), mark=MARK, offset=source.below(600), data=piece, chunk_checksum=0
        )
    if kind == 5:
        return SnapshotReply(**head, session=1, index=index, next_offset=source.below(600), installed=source.often(4))
    if kind == 6:
        return TimeoutNow(**head)
    if kind == 7:
        return ReadRequest(**head, ticket=source.below(4))
    return ReadReply(**head, ticket=source.below(4), index=index)


def _entry(index: int, term: int) -> Entry:
    return Entry(index, term, EntryKind.NOOP)


def _term(source: Source, core: RaftCore) -> int:
    return max(0, core.log.last_term + source.choose((0, 0, 0, 1, -1)))


# ------------------------------------------------------------------------------------------------- honest, disordered


def any_order(data: bytes) -> None:
    """Three honest managers whose messages come in any order, twice, or never, whose disks are slow and who crash: no
    invariant is violated, never two leaders in a term, and what was applied anywhere is the same everywhere."""
    source = Source(data)
    script = Script()
    script.do_cluster("3", "snapshot_chunk_bytes=64")
    script.do_lead("n1")
    leaders: dict[int, str] = {}
    states: dict[int, int] = {}
    steps = 0
    while not source.is_spent and steps < STEPS_MAX:
        steps += 1
        _step(source, script, steps)
        for id in script.up:
            core, machine = script.core(id), script.machines[id]
            if core.role.kind == "leader":
                assert leaders.setdefault(core.term, id) == id, f"two leaders in term {core.term}"
            state = states.setdefault(machine.index, machine.digest)
            assert state == machine.digest, f"two states at index {machine.index}"


def _step(source: Source, script: Script, number: int) -> None:
    id = source.choose(SCRIPT_NODES)
    kind = source.below(24)
    if script.cores[id] is None:
        if kind < 8:
            script.do_start(id)
        return
    path = f"{id}>{source.choose([other for other in SCRIPT_NODES if other != id])}"
    waiting = bool(script.paths[path])
    if kind < 8:
        script.do_deliver(path, source.choose(("1", "1", "2", "9")))
    elif kind < 12:
        script.do_sync(id)
    elif kind < 15:
        script.do_propose(id, f"p{number}")
    elif kind == 15 and waiting:
        script.do_twice(path)
    elif kind == 16 and waiting:
        script.do_drop(path, "1")
    elif kind == 17 and waiting:
        script.do_hold(path)
    elif kind == 18:
        script.do_late()
    elif kind < 21:
        script.do_pass(source.choose(("0.005", "0.05", "0.1", "0.6")), id)
    elif kind == 21:
        script.do_hint(id, source.choose(SCRIPT_NODES))
    elif kind == 22 and source.below(4) == 0:
        script.do_crash(id)
    elif kind == 23:
        _rare(source, script, id)


def _rare(source: Source, script: Script, id: str) -> None:
    kind = source.below(5)
    if kind == 0:
        script.do_transfer(id, "9")
    elif kind == 1:
        script.do_read(id, "7")
    elif kind == 2:
        script.do_gap(id)
    elif kind == 3 and script.machines[id].index > script.core(id).log.first:
        script.do_snapshot(id)
    else:
        script.do_unreachable(id, source.choose([other for other in SCRIPT_NODES if other != id]))

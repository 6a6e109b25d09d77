"""Apply is total and a function of the log: rubbish is a result, indexes agree with the rows, replicas agree."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swarmtui.objects import codec
from swarmtui.objects.operations import Advance, Create, Operation, Put, Remove, Require, Transaction, Update, Verdict
from swarmtui.objects.records import TABLES, KeyValue, Lease, Node, Secret, Service, Task, TaskStatus
from swarmtui.objects.specs import EndpointSpec, NodeSpec, PortConfig, ServiceSpec
from swarmtui.objects.states import TaskState
from swarmtui.objects.transactions import decode_transactions, encode_transactions
from swarmtui.store import OutOfOrder, Store
from swarmtui.store.batching import split

if TYPE_CHECKING:
    from .conftest import Log


# ----------------------------------------------------------------------------------------------- any log, small worlds

ids = st.sampled_from(["a", "b", "c"])
versions = st.none() | st.integers(0, 12)
states = st.sampled_from(TaskState)
times = st.integers(0, 3).map(float)
statuses = st.builds(TaskStatus, state=states, timestamp=times, pid=st.integers(0, 3))
leases = st.sampled_from(["", "", "a", "b"])
records = st.one_of(
    st.builds(Node, id=ids, spec=st.builds(NodeSpec, name=ids)),
    st.builds(
        Service,
        id=ids,
        spec=st.builds(
            ServiceSpec,
            name=st.sampled_from(["web", "WEB", "api"]),
            endpoint_spec=st.builds(
                EndpointSpec, st.lists(st.builds(PortConfig, st.integers(1, 3)), max_size=2).map(tuple)
            ),
        ),
    ),
    st.builds(
        Task,
        id=ids,
        service_id=ids,
        service_name=ids,
        slot=st.integers(0, 2),
        node_id=st.sampled_from(["", "n1", "n2"]),
        status=statuses,
        desired_state=states,
    ),
    st.builds(Secret, id=ids, name=ids),
    st.builds(KeyValue, ids, st.integers(0, 12), times, times, st.binary(max_size=2), leases),
    st.builds(Lease, id=ids),
)
references = st.tuples(st.sampled_from([*TABLES, "network"]), ids)
operations: st.SearchStrategy[Operation] = st.one_of(
    st.builds(Create, records),
    st.builds(Update, records, versions, versions),
    st.builds(lambda at, version: Remove(*at, version), references, versions),
    st.builds(lambda at, version, spec: Require(*at, version, spec), references, versions, versions),
    st.builds(
        Advance,
        ids,
        st.none() | statuses,
        st.none() | states,
        st.none() | st.sampled_from(["n1", "n2"]),
    ),
    st.builds(Put, ids, st.binary(max_size=2), versions, leases),
)
numbers = st.integers(0, 3)
transactions = st.builds(
    Transaction, st.lists(operations, max_size=4).map(tuple), st.integers(0, 2), numbers, numbers, numbers
)
entries = st.lists(transactions, max_size=3).map(
    lambda some: encode_transactions([codec.encode(each) for each in some], 5.0)
)
logs = st.lists(entries | st.binary(max_size=8), max_size=14)


def replay(log: list[bytes]) -> Store:
    store = Store()
    for index, data in enumerate(log, 1):
        store.apply(index, 1, data)
    return store


@given(logs)
@settings(max_examples=200, deadline=None)
def test_every_index_agrees_with_the_rows(log: list[bytes]) -> None:
    store = replay(log)
    tasks = store.all(Task)
    for service_id in ("a", "b", "c", "z"):
        of_service = [task for task in tasks if task.service_id == service_id]
        assert _same(store.tasks(service_id=service_id), of_service)
        for slot in range(3):
            assert _same(store.tasks(service_id=service_id, slot=slot), [t for t in of_service if t.slot == slot])
    for node_id in ("", "n1", "n2"):
        assert _same(store.tasks(node_id=node_id), [task for task in tasks if task.node_id == node_id])
    for state in TaskState:
        assert _same(store.tasks(observed=state), [task for task in tasks if task.status.state is state])
        assert _same(store.tasks(desired=state), [task for task in tasks if task.desired_state is state])
    services = store.all(Service)
    assert len({service.name.lower() for service in services}) == len(services)
    for service in services:
        assert store.by_name(Service, service.name.swapcase()) is service
    published = [port for service in services for port in {p.published_port for p in service.spec.endpoint_spec.ports}]
    assert len(set(published)) == len(published)


@given(logs)
@settings(max_examples=200, deadline=None)
def test_no_key_outlives_its_lease_and_the_index_of_leases_agrees(log: list[bytes]) -> None:
    store = replay(log)
    restored = Store()
    restored.restore(store.freeze().chunks())
    for each in (store, restored):
        for lease in ("a", "b", "c"):
            keys = sorted(key.id for key in each.all(KeyValue) if key.lease == lease)
            assert each._tables.kv.of_lease(lease) == keys
            assert not keys or each.get(Lease, lease) is not None


def _same(some: list[Task], others: list[Task]) -> bool:
    return sorted(some, key=lambda task: task.id) == sorted(others, key=lambda task: task.id)


@given(logs, st.data())
@settings(deadline=None)
def test_replicas_agree_whether_they_replayed_the_log_or_began_from_a_snapshot(
    log: list[bytes], data: st.DataObject
) -> None:
    cut = data.draw(st.integers(0, len(log)))
    replica = Store()
    replica.restore(replay(log[:cut]).freeze().chunks())
    for index, entry in enumerate(log[cut:], cut + 1):
        replica.apply(index, 1, entry)
    assert replica.digest() == replay(log).digest()


@given(logs)
@settings(deadline=None)
def test_the_short_way_of_a_single_put_answers_as_the_long_way(log: list[bytes]) -> None:
    short, long = Store(), Store()
    for index, data in enumerate(log, 1):
        assert short.apply(index, 1, data) == long.apply(index, 1, _without_short_forms(data))
    assert short.digest() == long.digest()


def _without_short_forms(data: bytes) -> bytes:
    try:
        time, transactions = decode_transactions(data)
    except codec.MalformedObject:
        return data
    return encode_transactions([*map(_as_a_map, transactions)], time)


def _as_a_map(encoded: bytes) -> bytes:
    if codec.decode_one_put(encoded) is None:
        return encoded
    return msgspec.msgpack.encode(codec.plain(codec.decode(encoded, Transaction)))


@given(logs)
@settings(deadline=None)
def test_what_was_written_is_at_the_index_of_its_entry_and_versions_never_return(log: list[bytes]) -> None:
    store = Store()
    for index, data in enumerate(log, 1):
        before = store.freeze()
        watch = store.watch()
        store.apply(index, 1, data)
        changes = watch.take()
        assert isinstance(changes, list)
        for change in changes:
            stored = store.get(TABLES[change.table], change.id)
            assert stored is None or stored.version == index
        changed = {(change.table, change.id) for change in changes}
        for name, cls in TABLES.items():
            for id, row in before.tables[name].items():
                if (name, id) not in changed:
                    assert store.freeze().tables[name][id] == row, cls
        watch.close()


# ------------------------------------------------------------------------------------------------------------ totality


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00",
        b"\x02" + bytes(8),
        b"\x02" + bytes(13),
        b"\x03" + bytes(13),
        b"\x01" + bytes(8) + b"\xff\xff\xff\xff",
        encode_transactions([codec.encode(Transaction((Put("a", b"1"),))), b"\xc1"], 5.0),
    ],
)
def test_an_entry_that_is_none_is_one_invalid_result(log: Log, data: bytes) -> None:
    (result,) = log.raw(data)
    assert (result.verdict, result.index) == (Verdict.INVALID, 1)
    assert log.store.index == 1
    assert log.store.keys("") == []


def test_one_malformed_transaction_does_not_touch_its_neighbours(log: Log) -> None:
    good = [codec.encode(Transaction((Put(key, b"1"),))) for key in ("a", "b")]
    results = log.raw(encode_transactions([good[0], b"\xc0", b"\x80", good[1]], 5.0))
    assert [result.verdict for result in results] == [Verdict.DONE, Verdict.INVALID, Verdict.INVALID, Verdict.DONE]
    assert [pair.id for pair in log.store.keys("")] == ["a", "b"]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (Put("a", b"1"), Put("a", b"2")),
        (Put("a", b"1"), Put("a", b"2", expected=1)),
        (Create(KeyValue("a", 0, 0.0, 0.0, b"")), Remove("kv", "a")),
        (Put("a", b"1"), Remove("kv", "a", version=1)),
    ],
)
def test_two_transactions_of_one_entry_never_write_one_object(log: Log, first: Operation, second: Operation) -> None:
    results = log.entry(Transaction((first,)), Transaction((second,)))
    assert [result.verdict for result in results] == [Verdict.DONE, Verdict.CONFLICT]
    assert "another transaction of entry 1 wrote kv a" in results[1].text
    assert log.store.count(KeyValue) == 1


def test_an_entry_is_applied_once_and_in_its_turn() -> None:
    store = Store()
    store.skip(1, 3)
    for index in (1, 3):
        with pytest.raises(OutOfOrder):
            store.apply(index, 3, b"")
    with pytest.raises(OutOfOrder):
        store.skip(2, 2)
    store.apply(2, 3, b"")
    assert (store.index, store.term) == (2, 3)


# ------------------------------------------------------------------------------------------------------------ batching


@given(st.lists(transactions, max_size=12), st.integers(1, 400))
def test_split_keeps_the_order_and_no_entry_writes_an_object_twice(some: list[Transaction], bytes_max: int) -> None:
    pairs = [(codec.encode(each), each) for each in some]
    parts = split(pairs, bytes_max)
    assert [pair for part in parts for pair in part] == pairs
    store = Store()
    for index, part in enumerate(parts, 1):
        assert len(part) == 1 or sum(len(encoded) for encoded, _ in part) <= bytes_max
        results = store.apply(index, 1, encode_transactions([encoded for encoded, _ in part], 1.0))
        assert not [result for result in results if "another transaction" in result.text]


@pytest.mark.parametrize(
    "second",
    [
        Put("a", b"2"),
        Put("a", b"2", expected=1),
        Remove("kv", "a"),
        Create(KeyValue("a", 0, 0.0, 0.0, b"")),
        Update(KeyValue("a", 0, 0.0, 0.0, b""), version=1),
    ],
)
def test_the_second_that_writes_an_object_begins_a_new_entry(second: Operation) -> None:
    some = [Transaction((Put("a", b"1"),)), Transaction((Put("b", b"1"), second)), Transaction((Put("c", b"1"),))]
    assert [len(part) for part in split([(b"x", each) for each in some], 1000)] == [1, 2]


def test_reports_of_one_task_are_kept_apart() -> None:
    some = [Transaction((Advance(id, TaskStatus(TaskState.RUNNING)),)) for id in ("t1", "t2", "t1")]
    assert [len(part) for part in split([(b"x", each) for each in some], 1000)] == [2, 1]


def test_transactions_on_different_objects_share_an_entry() -> None:
    some = [Transaction((Put(str(number), b""), Require("node", "n1", version=1))) for number in range(50)]
    assert [len(part) for part in split([(b"x" * 10, each) for each in some], 1_000_000)] == [50]


def test_no_clock_and_no_chance_in_apply(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object) -> None:
        raise AssertionError("apply asked for something that is not in the entry")

    for name in ("time.time", "time.monotonic", "random.random", "secrets.choice", "os.urandom"):
        monkeypatch.setattr(name, forbidden)
    assert log.do(Create(Service(id="s", spec=ServiceSpec("web")))).verdict is Verdict.DONE
    assert log.do(Put("a", b"1")).verdict is Verdict.DONE
    stored = log.store.get(Service, "s")
    assert stored is not None
    assert attrs.astuple(stored)[:5] == ("s", 1, 1, 1_001.0, 1_001.0)

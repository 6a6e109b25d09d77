"""The codec: what is written comes back, and whatever is not an object is refused with one sentence."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmtui.objects import codec
from swarmtui.objects.codec import MalformedObject
from swarmtui.objects.dispatch import DispatchMessage
from swarmtui.objects.events import Event
from swarmtui.objects.manifest import NodeBirth
from swarmtui.objects.operations import Operation, Put, Remove, Result, Transaction
from swarmtui.objects.records import AnyRecord, KeyValue, Service, Task, UpdateStatus, fields_of
from swarmtui.objects.specs import GlobalMode, ServiceMode, ServiceSpec
from swarmtui.objects.states import UpdateState
from swarmtui.objects.transactions import Bundle

st.register_type_strategy(str, st.text(st.characters(exclude_categories=("Cs",)), max_size=8))
st.register_type_strategy(int, st.integers(-(2**63), 2**63 - 1))
st.register_type_strategy(float, st.floats(allow_nan=False, allow_infinity=False))  # as JSON has them
st.register_type_strategy(bytes, st.binary(max_size=8))

UNIONS = {AnyRecord, Operation, ServiceMode, DispatchMessage}


@pytest.mark.parametrize(
    "cls", [AnyRecord, Operation, ServiceMode, DispatchMessage, Transaction, Result, NodeBirth], ids=codec._name
)
def test_what_is_written_comes_back(cls: type) -> None:
    @given(st.from_type(cls))
    def check(value: object) -> None:
        assert codec.decode(codec.encode(value), cls) == value
        assert codec.decode_json(codec.encode_json(value), cls) == value

    check()


def test_an_event_comes_back_with_its_free_data() -> None:
    event = Event(1.5, "n1", 7, "election", "n1 leads", data={"votes": [1, 2], "cause": {"ms": 812}})
    assert codec.decode(codec.encode(event), Event) == event


def test_defaults_are_left_out_and_members_of_unions_are_named() -> None:
    service = Service(id="s1", spec=ServiceSpec("web", mode=GlobalMode()))
    assert codec.plain(service) == {
        "id": "s1",
        "spec": {"name": "web", "mode": {"is": "GlobalMode"}},
        "is": "Service",
    }


def test_the_name_in_is_is_no_field_of_any_class() -> None:
    for union in UNIONS:
        for member in union.__args__:
            assert codec.TAG not in fields_of(member)


def test_unknown_keys_of_a_newer_version_are_ignored() -> None:
    data = msgspec.msgpack.encode({"is": "KeyValue", "id": "color", "value": b"green", "shade": 7})
    assert codec.decode(data, AnyRecord) == KeyValue("color", 0, 0.0, 0.0, b"green")


times = st.floats(allow_nan=False)


@given(st.builds(KeyValue, st.text(), st.integers(0, 2**63), times, times, st.binary(max_size=5), st.text(max_size=3)))
def test_a_key_is_a_map_by_itself_and_a_row_among_many(key: KeyValue) -> None:
    alone = codec.encode(key)
    assert msgspec.msgpack.decode(alone)["is"] == "KeyValue"
    assert codec.decode(alone, AnyRecord) == codec.decode(alone, KeyValue) == key
    rows = msgspec.msgpack.encode([key])
    assert msgspec.msgpack.decode(rows) == [[key.id, key.version, key.created_at, key.updated_at, key.value, key.lease]]
    assert msgspec.msgpack.decode(rows, type=list[KeyValue]) == [key]
    assert key.spec_version == key.version
    with pytest.raises(AttributeError):
        key.value = b""  # type: ignore[misc]


@pytest.mark.parametrize(
    "fields",
    [{}, {"id": 7}, {"id": "a", "version": "7"}, {"id": "a", "value": 5}, {"id": "a", "created_at": "now"}, ["a"]],
)
def test_a_key_whose_fields_are_of_another_type_is_refused(fields: Any) -> None:
    said = {"is": "KeyValue", **fields} if isinstance(fields, dict) else fields
    with pytest.raises(MalformedObject, match=r"^not a "):
        codec.decode(msgspec.msgpack.encode(said), AnyRecord)


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({}, "'operations' is missing"),
        ({"operations": {}}, "list expected, not dict"),
        ({"operations": "Put"}, r"not a Transaction.*operations"),
        ({"operations": [{"key": "a", "value": b""}]}, r"'is' is missing \(at \$.operations\[0\]\)"),
        ({"operations": [{"is": "Truncate"}]}, "'Truncate' is none of Advance, Create, Put"),
        (
            {"operations": [{"is": "Put", "key": 5, "value": b""}]},
            r"str expected, not int \(at \$.operations\[0\].key\)",
        ),
        ({"operations": [{"is": "Put", "key": "a", "value": b"", "expected": True}]}, "expected"),
        ({"operations": [{"is": "Put", "key": "a", "value": "?"}]}, "value"),
        ({"operations": [], "serial": 1.0}, r"int expected, not float \(at \$.serial\)"),
        ([], "not a Transaction"),
        (None, "not a Transaction"),
    ],
)
def test_a_fault_is_named_with_its_path(body: object, sentence: str) -> None:
    with pytest.raises(MalformedObject, match=sentence):
        codec.decode(msgspec.msgpack.encode(body), Transaction)


def test_a_state_that_does_not_exist_is_refused() -> None:
    task = codec.plain(Task(id="t", service_id="s", service_name="web"))
    with pytest.raises(MalformedObject, match="7 is not a valid TaskState"):
        codec.from_plain({**task, "desired_state": 7}, Task)


@pytest.mark.parametrize(
    "word", ["updating", "paused", "completed", "rollback_started", "rollback_paused", "rollback_completed"]
)
def test_the_state_of_an_update_is_stored_as_the_word_that_docker_has_for_it(word: str) -> None:
    """As logs and snapshots held it when it was any text."""
    stored = {"is": "Service", "id": "s1", "spec": {"name": "web"}, "update_status": {"state": word, "started_at": 5.0}}
    service = codec.decode(msgspec.msgpack.encode(stored), Service)
    assert service.update_status == UpdateStatus(UpdateState(word), 5.0)
    assert msgspec.msgpack.decode(codec.encode(service)) == stored


requests = [st.integers(0, 2**64 - 1)] * 4


puts = st.builds(Put, st.text(), st.binary(), st.none() | st.integers(0, 2**64 - 1))


@given(st.builds(Transaction, st.tuples(puts), *requests))
def test_a_transaction_of_one_put_is_read_the_same_however_it_was_written(transaction: Transaction) -> None:
    short, long = codec.encode(transaction), msgspec.msgpack.encode(codec.plain(transaction))
    (put,) = transaction.operations
    assert isinstance(put, Put)
    numbers = (transaction.session, transaction.serial, transaction.lowest, transaction.since)
    assert codec.decode_one_put(short) == codec.OnePut(put.key, put.value, put.expected, *numbers)
    assert codec.decode_one_put(long) is None
    assert codec.decode(short, Transaction) == codec.decode(long, Transaction) == transaction


@given(st.tuples(st.from_type(Put) | st.just(Remove("kv", "a"))), st.tuples(*requests))
def test_a_request_is_the_transaction_with_its_numbers(
    operations: tuple[Operation], numbers: tuple[int, int, int, int]
) -> None:
    request = codec.encode_request(Transaction(operations), *numbers)
    assert codec.decode(request, Transaction) == Transaction(operations, *numbers)


@given(st.text(), st.binary(max_size=20), st.none() | st.integers(0, 2**63), st.tuples(*requests))
def test_a_plain_put_is_written_as_the_transaction_of_that_put(
    key: str, value: bytes, expected: int | None, numbers: tuple[int, int, int, int]
) -> None:
    request = codec.encode_request(codec.OnePut(key, value, expected), *numbers)
    assert request == codec.encode_request(Transaction((Put(key, value, expected),)), *numbers)


def test_a_request_that_bytes_cannot_hold_is_malformed() -> None:
    for operation in (Put("a", b"", 2**70), Remove("kv", "a", 2**70)):
        with pytest.raises(MalformedObject):
            codec.encode_request(Transaction((operation,)), 1, 1, 1, 1)
    for put in (codec.OnePut("a", b"", 2**70), codec.OnePut("\ud800", b"")):
        with pytest.raises(MalformedObject):
            codec.encode_request(put, 1, 1, 1, 1)


@given(st.tuples(puts, puts) | st.tuples(st.just(Put("a", b"", lease="l"))) | st.tuples(st.just(Remove("kv", "a"))))
def test_what_is_more_than_one_plain_put_is_written_as_a_map(operations: tuple[Operation, ...]) -> None:
    data = codec.encode(Transaction(operations))
    assert data == msgspec.msgpack.encode(codec.plain(Transaction(operations)))
    assert codec.decode_one_put(data) is None


@pytest.mark.parametrize(
    "said",
    [
        [5, b"", None, 0, 0, 0, 0],
        ["a", "text", None, 0, 0, 0, 0],
        ["a"],
        ["a", b"", True, 0, 0, 0, 0],
        ["a", b"", 1.0, 0, 0, 0, 0],
        ["a", b"", None, None, 0, 0, 0],
        ["a", b"", None, 0, 0, 0, 0.5],
        ["a", b"", None, 0, 0, 0, 0, "newer"],
        [],
        [["a", b""]],
    ],
)
def test_what_is_no_array_of_one_put_is_malformed(said: list[object]) -> None:
    data = msgspec.msgpack.encode(said)
    assert codec.decode_one_put(data) is None
    assert Bundle.of([codec.encode(Transaction((Put("a", b""),))), data]).puts() is None
    with pytest.raises(MalformedObject):
        codec.decode(data, Transaction)


@given(st.binary(max_size=64))
def test_any_bytes_are_an_object_or_refused(rubbish: bytes) -> None:
    for cls in (Transaction, AnyRecord, DispatchMessage):
        try:
            codec.decode(rubbish, cls)
        except MalformedObject:
            continue


@given(st.from_type(Transaction), st.data())
def test_a_damaged_object_is_an_object_or_refused(transaction: Transaction, data: st.DataObject) -> None:
    damaged = bytearray(codec.encode(transaction))
    damaged[data.draw(st.integers(0, len(damaged) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        assert isinstance(codec.decode(bytes(damaged), Transaction), Transaction)
    except MalformedObject:
        return


def test_deep_nesting_is_refused_and_does_not_end_the_process() -> None:
    with pytest.raises(MalformedObject):
        codec.decode(b"\x91" * 100_000 + b"\x90", Transaction)


@pytest.mark.parametrize("put", [Put("\udcff", b""), Put("a", b"", expected=2**64)])
def test_what_bytes_cannot_hold_is_refused_where_it_is_written(put: Put) -> None:
    with pytest.raises(MalformedObject, match="Transaction cannot be written"):
        codec.encode(Transaction((put,)))

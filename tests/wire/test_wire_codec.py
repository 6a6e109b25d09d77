"""Every message reads back as what was written, and no bytes crash the reader."""

from contextlib import suppress
from typing import get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmtui.objects import codec as objects_codec
from swarmtui.objects.dispatch import AgentMessage, Assignment, Beat, Register, Relay, StatusReport
from swarmtui.objects.events import Event
from swarmtui.objects.operations import Put, Result, Transaction, Verdict
from swarmtui.objects.records import KeyValue, NodeDescription, Service, Task, TaskStatus
from swarmtui.objects.specs import GlobalMode, ServiceSpec
from swarmtui.objects.states import TaskState
from swarmtui.raft.configuration import Configuration, Member
from swarmtui.raft.entries import Entry, EntryKind
from swarmtui.raft.messages import (
    AnyMessage,
    Append,
    AppendReply,
    ReadReply,
    ReadRequest,
    RemovedNotice,
    SnapshotChunk,
    SnapshotMark,
    SnapshotReply,
    TimeoutNow,
    VoteReply,
    VoteRequest,
)
from swarmtui.raft.reasons import Why
from swarmtui.wire.calls import Answer, Call
from swarmtui.wire.codec import _BARE, ANSWERS, CALLS, MalformedMessage, _form, decode_message, encode_message, prepare
from swarmtui.wire.host_calls import HostReport, NodePower, Power, PowerNode, PublishedPort
from swarmtui.wire.key_calls import Attest, Attestation, GetKeys, KeyRows
from swarmtui.wire.messages import Cancel, Ended, Failed, Goodbye, Hello, More, Reply, Request
from swarmtui.wire.node_calls import (
    Fate,
    LinkFault,
    Outcome,
    Propose,
    Proposed,
    Records,
    SetLinkFaults,
)

HEAD = {"cluster": "c", "source": "a", "target": "b", "term": 3}
MARK = SnapshotMark(9, 2, Configuration((Member("a", "n1", "x:1"),)), 500, "ab" * 32)
TRANSACTIONS = (
    Transaction((Put("color", b"\x00\xff"),)),
    Transaction((Put("size", b"", expected=4),), session=7, serial=1),
)
TASK = Task(id="t", service_id="s", service_name="web", slot=2, status=TaskStatus(TaskState.RUNNING, pid=4))

MESSAGES = [
    VoteRequest(**HEAD, last_index=4, last_term=2, pre=True),
    VoteReply(**HEAD, granted=False, why=Why("log-behind", its_last=3, its_term=1, my_last=4, my_term=2)),
    Append(**HEAD, session=1, previous_index=4, previous_term=2, commit=4),
    Append(
        **HEAD,
        session=1,
        previous_index=4,
        previous_term=2,
        commit=4,
        round=8,
        entries=(Entry(5, 3, EntryKind.NOOP), Entry(6, 3, EntryKind.TRANSACTIONS, b"\x00" * 100)),
    ),
    AppendReply(**HEAD, session=1, accepted=True, match=6, previous_index=4),
    SnapshotChunk(**HEAD, session=1, mark=MARK, offset=3, data=b"\x00\x01", chunk_checksum=77),
    SnapshotReply(**HEAD, session=1, index=9, next_offset=5, installed=False),
    TimeoutNow(**HEAD),
    ReadRequest(**HEAD, ticket=4),
    ReadReply(**HEAD, ticket=4, index=0, why=Why("no-leader")),
    RemovedNotice(**HEAD, index=17),
    Register("a", "s1", NodeDescription("n1"), "x:1"),
    Beat("s1"),
    StatusReport("s1", 2, (("t", TASK.status),)),
    Assignment("s1", 3, 7, True, (TASK,), ("u",), {"web": "127.0.0.1:8080"}),
    Relay("a", Beat("s1")),
    Hello(),
    Goodbye("enough"),
    Request(1, Propose.of(*TRANSACTIONS, timeout_s=2.0)),
    Request(2, SetLinkFaults((LinkFault("b", cut_out=True, until=5.0),))),
    Request(3, PowerNode("n1", "kill")),
    Reply(1, Proposed((Outcome(Fate.DONE, Result(Verdict.DONE, 8)), Outcome(Fate.UNKNOWN, reason="?")))),
    Reply(2, Records(5, 2, False, (TASK, Service(id="s", spec=ServiceSpec("web", mode=GlobalMode())))), more=True),
    Reply(3, Event(1.5, "n1", 4, "task", "web.2 runs", data={"a": [1, None, "x"]})),
    Reply(
        4,
        HostReport(
            "demo",
            "c",
            1,
            (NodePower("a", "n1", "manager", "x:1", 2, Power.PAUSED),),
            (),
            {},
            (PublishedPort(80, "web", trouble="taken"),),
            "/",
        ),
    ),
    Ended(4),
    Failed(4, "forbidden", "no"),
    Request(5, GetKeys(("a", "b"))),
    Reply(5, KeyRows(9, 3, (KeyValue("k", 7, 1.0, 2.5, b"v"), None))),
    Request(6, GetKeys(("a",), asked=("n1", "n2"))),
    Reply(6, KeyRows(9, 3, (None,), attestation=Attestation("n1", 3, "n1", 9, ("n1", "n2")))),
    Request(7, Attest(("n1", "n2"))),
    Reply(7, Attestation("n2", 3)),
    Cancel(4),
    More(4, 32),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_a_message_reads_back(message):
    assert decode_message(encode_message(message)) == message


def test_every_message_of_every_union_can_be_written_and_read():
    """A class added to a union needs no line in the codec, but its fields must be of kinds that bytes can hold."""
    known = {*CALLS.values(), *ANSWERS.values(), *_BARE.values()}
    for union in (AnyMessage, AgentMessage, Call, Answer):
        assert known >= set(get_args(union))
    for cls in known:
        assert _form(cls)
    assert not set(CALLS) & set(ANSWERS)


def test_what_was_prepared_is_not_made_again_at_the_first_message(monkeypatch):
    """The first vote request of a process came 5 ms late, for the making of its hooks, and so did every message after it."""
    prepare()

    def made(*_):
        raise AssertionError("a hook was made for a message")

    monkeypatch.setattr("swarmtui.wire.codec._plain", made)
    monkeypatch.setattr(type(objects_codec.converter), "gen_unstructure_attrs_fromdict", made)
    monkeypatch.setattr(type(objects_codec.converter), "gen_structure_attrs_fromdict", made)
    for message in MESSAGES:
        assert decode_message(encode_message(message)) == message


def test_a_proposal_brings_the_very_bytes_of_its_transactions():
    """A leader's log and a forwarding follower use them again."""
    encoded = [objects_codec.encode(transaction) for transaction in TRANSACTIONS]
    sent = encode_message(Request(1, Propose.of(*TRANSACTIONS)))
    received = decode_message(sent)
    assert received.call.bundle.parts() == encoded
    assert received.call.count == len(encoded)
    assert encode_message(Request(1, received.call)) == sent


def test_outcomes_that_are_simply_done_cost_a_pair_of_numbers_an_entry():
    done = [Outcome(Fate.DONE, Result(Verdict.DONE, index)) for index in (5, 5, 5, 6, 5)]
    odd = [
        Outcome(Fate.DONE, Result(Verdict.DONE, 5, skipped=1)),
        Outcome(Fate.REFUSED, Result(Verdict.CONFLICT, 5, "changed", 4, 5), "conflict", "changed"),
        Outcome(Fate.UNKNOWN, rule="timeout", reason="?"),
        Outcome(Fate.DONE, Result(Verdict.DONE, 5), voters=5),
    ]
    answer = Reply(1, Proposed((*done, *odd, *done)))
    assert decode_message(encode_message(answer)) == answer
    many = Reply(1, Proposed(tuple(done[:1] * 10_000)))
    assert decode_message(encode_message(many)) == many
    assert len(encode_message(many)) < 50


def test_a_short_answer_cannot_claim_to_be_a_huge_one():
    for runs in ([[1, 2**40]], [[1, 60_000], [2, 60_000]], [[1, -1]], [[1]], [["1", 1]]):
        head = msgspec.msgpack.encode(["Reply", [1, False], "Proposed", runs])
        with pytest.raises(MalformedMessage):
            decode_message(len(head).to_bytes(4, "big") + head)


@pytest.mark.parametrize(
    "fields", [1, ["a", "3", "", 0, []], ["a", 3, "", 0, [1]], ["a", 3, None, 0, []], ["a", 3, "", 0]]
)
def test_an_attestation_is_ids_and_numbers(fields):
    for said, blob in ((["Attestation", fields], b""), (["KeyRows", [9, 3, "", fields]], NO_ROWS)):
        head = msgspec.msgpack.encode(["Reply", [1, False], *said])
        with pytest.raises(MalformedMessage):
            decode_message(len(head).to_bytes(4, "big") + head + blob)


ROW = ["k", 7, 1.0, 2.5, b"v", ""]
NO_ROWS = msgspec.msgpack.encode([])


def key_rows(rows, refused=""):
    head = msgspec.msgpack.encode(["Reply", [1, False], "KeyRows", [9, 3, refused, None]])
    return len(head).to_bytes(4, "big") + head + msgspec.msgpack.encode(rows)


def test_rows_are_read_with_the_type_of_each():
    assert decode_message(key_rows([ROW, None])).answer.rows == (KeyValue(*ROW), None)
    wrong = [[*ROW[:place], value, *ROW[place + 1 :]] for place, value in enumerate([7, "7", "1", "2", "v", 5])]
    for bad in (*wrong, ROW[:4], [*ROW, 1], 7, {}):
        with pytest.raises(MalformedMessage):
            decode_message(key_rows([bad]))
    for body in (key_rows(7), key_rows([ROW], refused=1), key_rows([ROW])[:-1], key_rows([ROW]) + b"\x00"):
        with pytest.raises(MalformedMessage):
            decode_message(body)


def read_vote_refusal(why):
    fields = {**HEAD, "granted": False, "why": why}
    head = msgspec.msgpack.encode(["VoteReply", fields])
    return decode_message(len(head).to_bytes(4, "big") + head).why


def test_a_refusal_that_this_version_has_no_line_for_is_passed_on_as_the_peer_said_it():
    assert str(read_vote_refusal(["moon-phase", {"wanted": "full"}])) == "moon-phase wanted=full"
    assert str(read_vote_refusal(["voted", {"vote": "n2"}])) == "voted vote=n2"
    assert (
        str(read_vote_refusal(["voted", {"vote": "n2", "mine": 3, "name": "", "self": 1}])) == "voted for n2 in term 3"
    )


@pytest.mark.parametrize(
    "why",
    [
        "voted",
        [1, {}],
        ["voted", []],
        ["voted", {"vote": {}}],
        ["voted", {"vote": "x" * 201}],
        ["v" * 201, {}],
        ["voted", {str(number): 0 for number in range(21)}],
        ["voted", {"v" * 201: 1}],
    ],
    ids=lambda why: str(why)[:30],
)
def test_a_refusal_of_another_form_is_refused(why):
    with pytest.raises(MalformedMessage):
        read_vote_refusal(why)


def test_entries_cost_no_head_and_are_not_copied_into_msgpack():
    entry = Entry(5, 3, EntryKind.TRANSACTIONS, b"x" * 10_000)
    body = encode_message(Append(**HEAD, session=1, previous_index=4, previous_term=2, commit=4, entries=(entry,)))
    assert body.endswith(entry.data)


@given(st.binary(max_size=300))
def test_no_bytes_crash_the_reader(body):
    with pytest.raises(MalformedMessage) as caught:
        decode_message(body)
    assert str(caught.value)


values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3) | st.binary(max_size=3) | st.floats(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=10,
)


@given(
    st.sampled_from(sorted({*_BARE, *CALLS, *ANSWERS, "Request", "Reply"})),
    st.lists(values, max_size=4),
    st.binary(max_size=9),
)
def test_no_message_of_wrong_fields_crashes_the_reader(name, rest, blob):
    head = msgspec.msgpack.encode([name, *rest])
    with suppress(MalformedMessage):
        decode_message(len(head).to_bytes(4, "big") + head + blob)


@given(st.sampled_from(MESSAGES), st.data())
def test_a_message_with_one_value_changed_is_read_or_refused(message, data):
    """What is believed has the declared types: the core and the store rely on it."""
    body = encode_message(message)
    length = int.from_bytes(body[:4], "big")
    head = msgspec.msgpack.decode(body[4 : 4 + length])
    fields = head[-1]
    if fields and isinstance(fields, dict):
        fields[data.draw(st.sampled_from(sorted(fields)))] = data.draw(values)
    changed = msgspec.msgpack.encode(head)
    with suppress(MalformedMessage):
        encode_message(decode_message(len(changed).to_bytes(4, "big") + changed + body[4 + length :]))


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("VoteRequest", {"last_index": 1, "last_term": 1}),
        ("Append", {"session": 1, "previous_index": 1, "previous_term": 1, "commit": 1}),
    ],
)
def test_a_number_is_never_converted(name, fields):
    head = msgspec.msgpack.encode([name, {**HEAD, "term": "3", **fields}])
    with pytest.raises(MalformedMessage, match="int expected"):
        decode_message(len(head).to_bytes(4, "big") + head)


def test_what_bytes_cannot_hold_is_refused_when_written():
    with pytest.raises(MalformedMessage, match="VoteRequest"):
        encode_message(VoteRequest(**{**HEAD, "term": 2**70}, last_index=1, last_term=1))
    with pytest.raises(MalformedMessage):
        encode_message(Request(1, "no call"))

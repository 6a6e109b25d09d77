"""Messages to frame bodies and back: a small head by cattrs, and one raw blob where bytes are only passed on.

    head length u32 | head | blob        head: msgpack [class name, fields], or [class name, fields, class name, fields]
                                         where a message carries another (a Request its call, a Reply its answer)

The blob holds what this room never looks into: the entries of an Append in their own byte form, a snapshot's bytes, the
transactions of a proposal. They are joined once by whoever made them and cost the codec nothing by the entry.

A class must be listed in `_FORMS` or one of the unions it is made of; reading is strict (a number where a text belongs is
refused, never converted) because the core and the store believe what they are given.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from itertools import groupby
from operator import attrgetter
from typing import Any, get_args

import attrs
import msgspec
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override

from swarmtui.objects import codec as objects_codec
from swarmtui.objects.codec import MalformedObject, converter
from swarmtui.objects.dispatch import AgentMessage
from swarmtui.objects.operations import Result, Verdict
from swarmtui.objects.records import KeyValue
from swarmtui.objects.transactions import Bundle
from swarmtui.raft.entries import MalformedEntry, decode_entries, encode_entries
from swarmtui.raft.messages import AnyMessage, Append, SnapshotChunk
from swarmtui.raft.reasons import Why, heard
from swarmtui.wire.calls import Answer, Call
from swarmtui.wire.key_calls import Attestation, KeyRows
from swarmtui.wire.messages import Cancel, Ended, Failed, Goodbye, Hello, More, Reply, Request
from swarmtui.wire.node_calls import (
    Fate,
    Outcome,
    Propose,
    Proposed,
)

Message = AnyMessage | AgentMessage | Request | Reply | Ended | Failed | Cancel | More | Hello | Goodbye

OUTCOMES_MAX = 100_000  # of one answer
REASON_OPERANDS_MAX = 20
REASON_TEXT_MAX = 200  # characters

_HEAD_LENGTH = struct.Struct(">I")
_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder().decode


class MalformedMessage(Exception):
    """Bytes that are no message this version reads, or a message that no bytes can hold."""


@attrs.frozen
class _Form:
    """How one class goes into a head and a blob: `write(message) -> fields, blob`, `read(fields, blob) -> message`."""

    write: Callable[[Any], tuple[Any, bytes]]
    read: Callable[[Any, bytes], Any]


def _plain(cls: type) -> _Form:
    """All in the head."""
    write = converter.get_unstructure_hook(cls)
    read = converter.get_structure_hook(cls)

    def read_fields(fields: Any, blob: bytes) -> Any:
        if blob:
            raise MalformedMessage(f"{cls.__name__} with {len(blob)} bytes too many")
        return read(fields, cls)

    return _Form(lambda message: (write(message), b""), read_fields)


def _hooks_without(cls: type, *names: str) -> tuple[Callable[[Any], Any], Callable[[Any, Any], Any]]:
    """cattrs' hooks of a class whose fields `names` are not written, and are read as they are."""
    omitted: dict[str, Any] = {name: override(omit=True) for name in names}
    passed: dict[str, Any] = {name: override(struct_hook=lambda value, _: value) for name in names}
    write: Any = make_dict_unstructure_fn(cls, converter, _cattrs_omit_if_default=True, **omitted)
    read: Any = make_dict_structure_fn(cls, converter, **passed)
    return write, read


def _with_blob(cls: type, field: str, pack: Callable[[Any], bytes], unpack: Callable[[bytes], Any]) -> _Form:
    """All in the head but one field, which is the blob."""
    write, read = _hooks_without(cls, field)

    def read_fields(fields: Any, blob: bytes) -> Any:
        fields[field] = unpack(blob)
        return read(fields, cls)

    return _Form(lambda message: (write(message), pack(getattr(message, field))), read_fields)


# ------------------------------------------------------------------------------------------------------------ reasons


def _write_reason(why: Why) -> tuple[str, dict[str, Any]]:
    return why.name, dict(why.operands)


def _read_reason(said: Any, _: Any) -> Why:
    """A name, and operands that are figures and short texts: which there are is for the peer to say."""
    name, operands = said
    if type(operands) is not dict or len(operands) > REASON_OPERANDS_MAX:
        raise MalformedMessage(f"a reason is a name and at most {REASON_OPERANDS_MAX} operands")
    for text in (name, *operands):
        if type(text) is not str or len(text) > REASON_TEXT_MAX:
            raise MalformedMessage(f"a name of a reason or of its operand is a text of at most {REASON_TEXT_MAX}")
    for value in operands.values():
        if type(value) not in (int, float) and (type(value) is not str or len(value) > REASON_TEXT_MAX):
            raise MalformedMessage(f"an operand of a reason is a figure or a text of at most {REASON_TEXT_MAX}")
    return heard(name, operands)


converter.register_unstructure_hook(Why, _write_reason)
converter.register_structure_hook(Why, _read_reason)


# ---------------------------------------------------------------------------------------------------------- proposals


def _proposed() -> _Form:
    """Of transactions that were done there is one thing to say, the index that they were applied at; under load many share
    an entry. So a run of them is [index, count], and only what is not simply done is said in full."""
    write, read = converter.get_unstructure_hook(Outcome), converter.get_structure_hook(Outcome)

    def write_fields(answer: Proposed) -> tuple[Any, bytes]:
        said: list[Any] = []
        for _, run in groupby(answer.outcomes, id):  # the outcomes of one entry are the same object
            same = list(run)
            index = _done_at(same[0])
            said += [(index, len(same))] if index is not None else [write(outcome) for outcome in same]
        return said, b""

    def read_fields(said: Any, blob: bytes) -> Proposed:
        if type(said) is not list or blob:
            raise MalformedMessage("Proposed is a list of outcomes")
        outcomes: list[Outcome] = []
        for one in said:
            if type(one) is not list:
                outcomes.append(read(one, Outcome))
                continue
            index, count = _number(one[0]), _number(one[1])
            if not 0 < count <= OUTCOMES_MAX - len(outcomes):
                raise MalformedMessage(f"{count} outcomes, at most {OUTCOMES_MAX} in one answer")
            outcomes += [Outcome(Fate.DONE, Result(Verdict.DONE, index))] * count
        return Proposed(tuple(outcomes))

    return _Form(write_fields, read_fields)


def _done_at(outcome: Outcome) -> int | None:
    """The index, if there is nothing else to say of it."""
    result = outcome.result
    if outcome.fate is not Fate.DONE or result is None or result.verdict is not Verdict.DONE:
        return None
    if result.text or result.skipped or result.expected is not None or result.found is not None:
        return None
    if outcome.rule or outcome.reason or outcome.voters or outcome.reachable or outcome.needed:
        return None
    return result.index


_unpack_rows = msgspec.msgpack.Decoder(tuple[KeyValue | None, ...]).decode


def _key_rows() -> _Form:
    """The rows are the blob, as they are: reading looks at the type of each value."""

    def write_fields(answer: KeyRows) -> tuple[Any, bytes]:
        word = answer.attestation
        return (answer.index, answer.term, answer.refused, word and _write_attestation(word)), _pack(answer.rows)

    def read_fields(fields: Any, blob: bytes) -> KeyRows:
        index, term, refused, word = fields
        if type(refused) is not str:
            raise MalformedMessage("KeyRows is refused with a sentence, or with none")
        attestation = None if word is None else _read_attestation(word)
        return KeyRows(_number(index), _number(term), _unpack_rows(blob), refused, attestation)

    return _Form(write_fields, read_fields)


def _attestation() -> _Form:
    """By itself, as within KeyRows: with every read, and small."""

    def read_fields(fields: Any, blob: bytes) -> Attestation:
        if blob:
            raise MalformedMessage(f"Attestation with {len(blob)} bytes too many")
        return _read_attestation(fields)

    return _Form(lambda word: (_write_attestation(word), b""), read_fields)


def _write_attestation(word: Attestation) -> tuple[Any, ...]:
    return word.member, word.term, word.leader, word.commit, word.quorum


def _read_attestation(fields: Any) -> Attestation:
    member, term, leader, commit, quorum = fields
    if type(quorum) is not list or not all(type(text) is str for text in (member, leader, *quorum)):
        raise MalformedMessage("an attestation is ids and numbers")
    return Attestation(member, _number(term), leader, _number(commit), tuple(quorum))


# --------------------------------------------------------------------------------------------------------- the tables

_SPECIAL: dict[type, Callable[[], _Form]] = {
    Append: lambda: _with_blob(Append, "entries", encode_entries, decode_entries),
    SnapshotChunk: lambda: _with_blob(SnapshotChunk, "data", bytes, bytes),
    Propose: lambda: _with_blob(Propose, "bundle", attrgetter("array"), Bundle.read),
    Proposed: _proposed,
    KeyRows: _key_rows,
    Attestation: _attestation,
}

CALLS: dict[str, type] = {cls.__name__: cls for cls in get_args(Call)}
ANSWERS: dict[str, type] = {cls.__name__: cls for cls in get_args(Answer)}
_BARE: dict[str, type] = {
    cls.__name__: cls
    for cls in (*get_args(AnyMessage), *get_args(AgentMessage), Hello, Goodbye, Ended, Failed, Cancel, More)
}
_forms: dict[type, _Form] = {}


def _form(cls: type) -> _Form:
    form = _forms.get(cls)
    if form is None:  # at the first use: starting to listen shall not cost the making of eighty hooks
        form = _forms[cls] = _SPECIAL[cls]() if cls in _SPECIAL else _plain(cls)
    return form


def prepare() -> None:
    """Make every hook now, at a cost of some 50 ms: for a process that shall answer its first message of a kind (the vote
    request after a leader's death) as fast as its thousandth, or that is copied (the foundry)."""
    objects_codec.prepare()
    for cls in (*CALLS.values(), *ANSWERS.values(), *_BARE.values()):
        _form(cls)


def encode_message(message: Message) -> bytes:
    """A frame's body. Raises MalformedMessage for what bytes cannot hold."""
    cls = message.__class__
    try:
        if isinstance(message, Request):
            name = message.call.__class__.__name__
            fields, blob = _form(CALLS[name]).write(message.call)
            head = _pack(("Request", message.id, name, fields))
        elif isinstance(message, Reply):
            name = message.answer.__class__.__name__
            fields, blob = _form(ANSWERS[name]).write(message.answer)
            head = _pack(("Reply", (message.id, message.more), name, fields))
        else:
            name = cls.__name__
            fields, blob = _form(_BARE[name]).write(message)
            head = _pack((name, fields))
    except KeyError:
        raise MalformedMessage(f"{cls.__name__} is no message of the wire, or carries none") from None
    except (OverflowError, UnicodeError, TypeError, MalformedObject) as error:
        raise MalformedMessage(f"{cls.__name__} cannot be written: {error}") from None
    return b"".join((_HEAD_LENGTH.pack(len(head)), head, blob))


def decode_message(body: bytes) -> Message:
    """The message that `encode_message` wrote. Raises MalformedMessage, and nothing else, for any bytes."""
    try:
        stop = 4 + _HEAD_LENGTH.unpack_from(body)[0]
        if stop > len(body):
            raise MalformedMessage(f"a head that ends {stop - len(body)} bytes behind its frame")
        head = _unpack(body[4:stop])
        return _read(head, body[stop:])
    except MalformedMessage:
        raise
    except (MalformedObject, MalformedEntry) as error:
        raise MalformedMessage(str(error)) from None
    except Exception as error:  # cattrs and msgspec raise what their hooks raise: any of it means these bytes are bad
        raise MalformedMessage(_explain(body, error)) from None


def _read(head: Any, blob: bytes) -> Message:
    name = head[0]
    if name == "Request":
        _, id, called, fields = head
        return Request(_number(id), _form(CALLS[called]).read(fields, blob))
    if name == "Reply":
        _, (id, more), answered, fields = head
        return Reply(_number(id), _form(ANSWERS[answered]).read(fields, blob), bool(more))
    _, fields = head
    message: Message = _form(_BARE[name]).read(fields, blob)
    return message


def _number(value: Any) -> int:
    if type(value) is not int:
        raise MalformedMessage(f"a number expected, not {type(value).__name__}")
    return value


def _explain(body: bytes, error: Exception) -> str:
    try:
        head = _unpack(body[4 : 4 + _HEAD_LENGTH.unpack_from(body)[0]])
        name = head[2] if head[0] in ("Request", "Reply") else head[0]
        what = f"not a message {name!r}"[:60]
    except Exception:
        what = "not a message"
    return f"{what}: {type(error).__name__} {error}"[:300]

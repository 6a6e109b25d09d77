"""The one boundary between objects and bytes: cattrs over msgpack, and over JSON for the files that people read.

An object is a map of its fields by name; fields at their default are left out (so a default is part of the format, and
never changes), unknown keys are ignored (a newer minor field). An object whose class belongs to a union also carries its
class's name under `is`, a key that no Python field can have; the union is read by that name. One kind of transaction has
a shorter form besides (`OnePut`). Readers are strict: a number where a text belongs is refused and never converted, for two
replicas must read the same thing.

`decode` is fast and, when it refuses, decodes once more slowly so that its one sentence can name the path of the fault.
"""

from __future__ import annotations

import base64
import enum
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar, cast, get_args

import attrs
import cattrs
import msgspec

from swarmtui.objects.dispatch import DispatchMessage
from swarmtui.objects.operations import Operation, Put, Transaction
from swarmtui.objects.records import AnyRecord, KeyValue
from swarmtui.objects.specs import ServiceMode

T = TypeVar("T")

TAG = "is"


class MalformedObject(ValueError):
    """Bytes that are no such object, or an object that no bytes can hold: the fault of whoever made them."""


# ------------------------------------------------------------------------------------------------------- the converter


def _exactly(*kinds: type) -> Callable[[Any, Any], Any]:
    def structure(value: Any, _: Any) -> Any:
        if type(value) in kinds:
            return value
        raise TypeError(f"{kinds[0].__name__} expected, not {type(value).__name__}")

    return structure


def _float(value: Any, _: Any) -> float:
    if type(value) is float:
        return value
    if type(value) is int:
        return float(value)
    raise TypeError(f"float expected, not {type(value).__name__}")


def _bytes(value: Any, _: Any) -> bytes:
    if type(value) is bytes:
        return value
    if type(value) is str:  # as JSON carries them
        return base64.b64decode(value, validate=True)
    raise TypeError(f"bytes expected, not {type(value).__name__}")


def _enum(value: Any, cls: Any) -> Any:
    return cls(value)


def _sequence(cls: Any) -> Callable[[Any, Any], Any]:
    """Tuples of one kind: from a list and from nothing else (a text is a sequence as well, of letters)."""
    member = get_args(cls)[0]
    hook = converter.get_structure_hook(member)

    def structure(value: Any, _: Any) -> Any:
        if type(value) is not list and type(value) is not tuple:
            raise TypeError(f"list expected, not {type(value).__name__}")
        return tuple([hook(item, member) for item in value])

    return structure


_KEY_DEFAULTS = {
    "version": 0,
    "created_at": 0.0,
    "updated_at": 0.0,
    "value": b"",
    "lease": "",
}
"""Left out where a key is written by itself, as the defaults of every other object."""


def _fields_of_key(key: KeyValue) -> dict[str, Any]:
    """By name, as of every other object: it is a row only where many are together."""
    said = {name: value for name, default in _KEY_DEFAULTS.items() if (value := getattr(key, name)) != default}
    return {"id": key.id, **said}


def _key_of_fields(fields: Any, _: Any) -> KeyValue:
    row = [fields["id"], *(fields.get(name, default) for name, default in _KEY_DEFAULTS.items())]
    return msgspec.convert(row, KeyValue)


def _make_converter(detailed_validation: bool) -> cattrs.Converter:
    made = cattrs.Converter(omit_if_default=True, detailed_validation=detailed_validation)
    made.register_structure_hook(str, _exactly(str))
    made.register_structure_hook(int, _exactly(int))
    made.register_structure_hook(bool, _exactly(bool))
    made.register_structure_hook(float, _float)
    made.register_structure_hook(bytes, _bytes)
    made.register_structure_hook(enum.IntEnum, _enum)  # or the hook of `int` would take them
    made.register_structure_hook(enum.StrEnum, _enum)
    made.register_structure_hook(KeyValue, _key_of_fields)
    return made


converter = _make_converter(detailed_validation=False)
"""For the wire to register more classes on. Its unstructured form is plain: dicts, lists, texts, numbers and bytes."""

converter.register_structure_hook_factory(lambda cls: get_args(cls)[1:] == (...,), _sequence)

_explaining = _make_converter(detailed_validation=True)
_encoders: dict[type, Callable[[Any], Any]] = {}
_members: list[type] = []  # of unions
_unmade: list[Callable[[], Any]] = []  # hooks that are made at the first use of a union's member, if not by `prepare`
_decoders: dict[Any, Callable[[Any, Any], Any]] = {}
_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder().decode


def register_union(union: Any) -> None:
    """Lets a union of attrs classes be read back: its members carry their class's name from now on."""
    members = cast(tuple[type, ...], get_args(union))
    _members.extend(members)
    for some in (converter, _explaining):
        for member in members:
            some.register_unstructure_hook(member, _tagging(some, member))
        some.register_unstructure_hook(union, _by_class(some))
        some.register_structure_hook(union, _by_tag(some, {member.__name__: member for member in members}))
    _encoders.clear()
    _decoders.clear()


def _tagging(some: cattrs.Converter, member: type) -> Callable[[Any], dict[str, Any]]:
    name = member.__name__

    @cache  # made at the first use, when every union is registered
    def fields() -> Callable[[Any], dict[str, Any]]:
        return _fields_of_key if member is KeyValue else some.gen_unstructure_attrs_fromdict(member)

    def unstructure(value: Any) -> dict[str, Any]:
        return {TAG: name, **fields()(value)}

    if some is converter:
        _unmade.append(fields)
    return unstructure


def _by_class(some: cattrs.Converter) -> Callable[[Any], Any]:
    hooks: dict[type, Callable[[Any], Any]] = {}

    def unstructure(value: Any) -> Any:
        cls = value.__class__
        hook = hooks.get(cls)
        if hook is None:
            hook = hooks[cls] = some.get_unstructure_hook(cls)
        return hook(value)

    return unstructure


def _by_tag(some: cattrs.Converter, members: dict[str, type]) -> Callable[[Any, Any], Any]:
    hooks: dict[str, tuple[Callable[[Any, Any], Any], type]] = {}

    def structure(value: Any, _: Any) -> Any:
        name = value[TAG]
        known = hooks.get(name)
        if known is None:
            if name not in members:
                raise ValueError(f"{name!r} is none of {', '.join(sorted(members))}")
            known = hooks[name] = (some.get_structure_hook(members[name]), members[name])
        return known[0](value, known[1])

    return structure


for _union in (AnyRecord, Operation, ServiceMode, DispatchMessage):
    register_union(_union)


def prepare() -> None:
    """Make the hooks of all unions now; each costs milliseconds where the first object of its class is waited for."""
    for make in _unmade:
        make()
    for member in _members:
        converter.get_structure_hook(member)


# ---------------------------------------------------------------------------------------------------------- both ways


def plain(value: object) -> Any:
    """The object as dicts, lists, texts, numbers and bytes."""
    cls = value.__class__
    hook = _encoders.get(cls)
    if hook is None:
        hook = _encoders[cls] = converter.get_unstructure_hook(cls)
    return hook(value)


def from_plain(data: Any, cls: Any) -> Any:
    """The object of this class or union. Raises MalformedObject."""
    try:
        hook = _decoders.get(cls)
        if hook is None:
            hook = _decoders[cls] = converter.get_structure_hook(cls)
        return hook(data, cls)
    except Exception as error:
        raise MalformedObject(f"not a {_name(cls)}: {_explain(data, cls, error)}") from None


def encode(value: object) -> bytes:
    """The object as msgpack. Raises MalformedObject for what bytes cannot hold: a lone surrogate, an integer of 65 bits."""
    try:
        if type(value) is Transaction and (one := _as_one_put(value)) is not None:
            return _pack(one)
        return _pack(plain(value))
    except (OverflowError, UnicodeError) as error:
        raise MalformedObject(f"{_name(type(value))} cannot be written: {error}") from None


def encode_request(asked: Transaction | OnePut, session: int, serial: int, lowest: int, since: int) -> bytes:
    """The transaction, of no session so far, as this request of a session. Raises MalformedObject."""
    if isinstance(asked, Transaction):
        return encode(attrs.evolve(asked, session=session, serial=serial, lowest=lowest, since=since))
    try:
        return _pack(OnePut(asked.key, asked.value, asked.expected, session, serial, lowest, since))
    except (OverflowError, UnicodeError) as error:
        raise MalformedObject(f"Transaction cannot be written: {error}") from None


def decode(data: bytes, cls: type[T]) -> T:
    """The object of this class or union that `encode` wrote. Raises MalformedObject."""
    if cls is Transaction:
        one = decode_one_put(data)
        if one is not None:
            return cast(T, _as_transaction(one))
    try:
        body = _unpack(data)
    except Exception as error:
        raise MalformedObject(f"not a {_name(cls)}: {error}") from None
    return cast(T, from_plain(body, cls))


def encode_json(value: object) -> str:
    """The object as indented JSON, for files that people read; bytes are base64."""
    return msgspec.json.format(msgspec.json.encode(plain(value)), indent=2).decode() + "\n"


def decode_json(text: str | bytes, cls: type[T]) -> T:
    """The object that `encode_json` wrote. Raises MalformedObject."""
    try:
        body = msgspec.json.decode(text)
    except Exception as error:
        raise MalformedObject(f"not a {_name(cls)}: {error}") from None
    return cast(T, from_plain(body, cls))


def _name(cls: Any) -> str:
    return getattr(cls, "__name__", None) or " | ".join(member.__name__ for member in get_args(cls))


def _explain(data: Any, cls: Any, fast: Exception) -> str:
    """The first fault with its path, as `float expected, not str (at $.status.timestamp)`."""
    try:
        _explaining.structure(data, cls)
    except cattrs.BaseValidationError as group:
        return cattrs.transform_error(group, format_exception=_fault)[0].replace(" @ ", " (at ") + ")"
    except Exception as error:
        return _fault(error, None)
    return _fault(fast, None)


def _fault(error: BaseException, _: type | None) -> str:
    if isinstance(error, KeyError):
        return f"{error.args[0]!r} is missing"
    return str(error)[:200] or type(error).__name__


# --------------------------------------------------------------------------------------------------- the short way
#
# Most transactions of a busy cluster are one Put and nothing else. Such a one is written as an array of what it says, and
# read without the objects in between; any other, and such a one too where somebody wrote it so, is a map like all objects.


class OnePut(msgspec.Struct, forbid_unknown_fields=True, array_like=True, gc=False):
    """Such a transaction, as it is read and written. Of no session while nobody has numbered it."""

    key: str
    value: bytes
    expected: int | None = None
    session: int = 0
    serial: int = 0
    lowest: int = 0
    since: int = 0


_unpack_one_put = msgspec.msgpack.Decoder(OnePut).decode


def decode_one_put(data: bytes) -> OnePut | None:
    """The encoded transaction if it is written as one Put; None for any other, and for what is none."""
    try:
        return _unpack_one_put(data)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None


def _as_one_put(asked: Transaction) -> OnePut | None:
    """None for a transaction of anything else."""
    if len(asked.operations) != 1:
        return None
    (put,) = asked.operations
    if type(put) is not Put or put.lease:
        return None
    return OnePut(put.key, put.value, put.expected, asked.session, asked.serial, asked.lowest, asked.since)


def _as_transaction(one: OnePut) -> Transaction:
    return Transaction((Put(one.key, one.value, one.expected),), one.session, one.serial, one.lowest, one.since)

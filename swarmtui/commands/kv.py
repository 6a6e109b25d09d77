"""`kv get | put | cas | delete | ls | watch`: the key-value store. Values are bytes; versions are log indexes."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Any

from swarmtui.commands.command import Arguments, Command, Completes, Context, Risk, flag, positional
from swarmtui.commands.each import for_each
from swarmtui.commands.errors import CommandFailed, WrongUsage
from swarmtui.commands.output import Column, Document, Line, Listing, Row
from swarmtui.commands.words import ago
from swarmtui.objects.operations import KEY_BYTES_MAX, VALUE_BYTES_MAX
from swarmtui.objects.records import KeyValue
from swarmtui.wire.node_calls import Consistency

VALUE_SHOWN = 60  # characters of a value in a table
VERSION_DIGITS_MAX = 18  # an index of the log has 64 bits
_UNREADABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")

STALE = flag("--stale", "Answer from one manager's own state, without asking a quorum")
KEY_COLUMNS = (
    Column("KEY", "key"),
    Column("VERSION", "version"),
    Column("SIZE", "size"),
    Column("UPDATED", "updated"),
    Column("VALUE", "value", shrinks=True),
)


def check_key(text: str) -> str:
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise ValueError("the key is no UTF-8 text") from None
    if not 1 <= size <= KEY_BYTES_MAX:
        raise ValueError(f"a key has from 1 to {KEY_BYTES_MAX} bytes, this one {size}")
    return text


def parse_version(text: str) -> int:
    if not text.isdecimal() or len(text) > VERSION_DIGITS_MAX:
        raise ValueError(f"{text!r} is no version; write the one that kv get shows, or 0 for a key that must not exist")
    return int(text)


VALUE = positional("value", "The value; - reads standard input", is_bytes=True)
KEY = positional("key", reader=check_key, completes=Completes.KEY)


def key_values(record: KeyValue) -> dict[str, Any]:
    """`kv get --format json`: the text is null where the bytes are none."""
    return {
        "key": record.id,
        "value": text_of(record.value),
        "value_base64": base64.b64encode(record.value).decode(),
        "version": record.version,
        **({"lease": record.lease} if record.lease else {}),
    }


def text_of(value: bytes) -> str | None:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return None


def _value(context: Context, arguments: Arguments) -> bytes:
    """The VALUE parameter; `-` reads standard input."""
    text = arguments.text("value")
    value = context.read_input() if text == "-" else text.encode(errors="surrogateescape")
    if len(value) > VALUE_BYTES_MAX:
        raise WrongUsage(f"a value has at most {VALUE_BYTES_MAX} bytes, this one {len(value)}")
    return value


def _consistency(arguments: Arguments) -> Consistency:
    return Consistency.STALE if arguments.flag("stale") else Consistency.LINEARIZABLE


async def run_get(context: Context, arguments: Arguments) -> None:
    key = arguments.text("key")
    record = await context.cluster.kv.get(key, consistency=_consistency(arguments))
    if record is None:
        raise CommandFailed(f"no such key: {key}")
    context.out.show(Document(key_values(record), data=record.value))


async def run_put(context: Context, arguments: Arguments) -> None:
    key, value = arguments.text("key"), _value(context, arguments)
    _show_version(context, key, await context.cluster.kv.put(key, value))


async def run_cas(context: Context, arguments: Arguments) -> None:
    key, value = arguments.text("key"), _value(context, arguments)
    _show_version(context, key, await context.cluster.kv.cas(key, int(arguments.get("version")), value))


def _show_version(context: Context, key: str, version: int) -> None:
    context.out.show(Document({"key": key, "version": version}, str(version)))


async def run_delete(context: Context, arguments: Arguments) -> None:
    async def delete(key: str) -> None:
        await context.cluster.kv.delete(key)
        context.out.show(Line(key, "key"))

    await for_each(context, arguments.texts("keys"), delete)


async def run_ls(context: Context, arguments: Arguments) -> None:
    prefix = arguments.text("prefix")
    records = await context.cluster.kv.list(prefix, consistency=_consistency(arguments))
    rows = [_row(record, context.wall()) for record in sorted(records, key=lambda record: record.id)]
    context.out.show(Listing(KEY_COLUMNS, rows, quiet="key"))


def _row(record: KeyValue, now: float) -> Row:
    text = text_of(record.value)
    shown = f"({len(record.value)} bytes)" if text is None or _UNREADABLE.search(text) else text.replace("\n", "\\n")
    cells = {
        "value": shown if len(shown) <= VALUE_SHOWN else shown[: VALUE_SHOWN - 1] + "…",
        "size": str(len(record.value)),
        "updated": ago(record.updated_at, now),
    }
    return Row(key_values(record), cells)


async def run_watch(context: Context, arguments: Arguments) -> None:
    async for change in context.cluster.kv.watch(arguments.text("prefix")):
        record: KeyValue | None = change.record
        value: Mapping[str, Any]
        if record is None:
            value = {"key": change.key, "value": None, "value_base64": None, "version": None, "deleted": True}
            text = f"{change.key} deleted"
        else:
            value = {**key_values(record), "deleted": False}
            text = f"{record.id} = {_row(record, 0).cell('value')} (version {record.version})"
        context.out.show(Document(value, text))


COMMANDS: tuple[Command, ...] = (
    Command(
        name=("kv", "get"),
        summary="Print the value of a key",
        parameters=(STALE, KEY),
        run=run_get,
    ),
    Command(
        name=("kv", "put"),
        summary="Write a key and print its new version",
        parameters=(KEY, VALUE),
        run=run_put,
        risk=Risk.CHANGE,
        examples=("kv put color green", "kv put blob - < FILE"),
    ),
    Command(
        name=("kv", "cas"),
        summary="Write a key only if it is at this version (compare and swap)",
        parameters=(
            KEY,
            positional("version", "The version it must be at; 0: it must not exist", reader=parse_version),
            VALUE,
        ),
        run=run_cas,
        risk=Risk.CHANGE,
        examples=("kv cas color 412 blue", "kv cas lock 0 mine"),
    ),
    Command(
        name=("kv", "delete"),
        summary="Delete keys",
        parameters=(positional("keys", repeated=True, reader=check_key, completes=Completes.KEY, metavar="KEY"),),
        run=run_delete,
        risk=Risk.DESTROYS,
    ),
    Command(
        name=("kv", "ls"),
        summary="List keys, all or those that begin with PREFIX",
        parameters=(STALE, flag("-q --quiet", "Only keys"), positional("prefix", required=False)),
        run=run_ls,
    ),
    Command(
        name=("kv", "watch"),
        summary="Show every change of keys as it is applied",
        parameters=(positional("prefix", required=False),),
        run=run_watch,
    ),
)

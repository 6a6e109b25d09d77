"""Many transactions as bytes: those of one call, which the client bundles, and those of a log entry.

Both are an array of msgpack with its count in 32 bits, put together of transactions as they are. So who only carries them (a
follower that forwards, a leader that puts calls into an entry) copies one piece of bytes and looks into none of it, and
who must judge them reads all at once, or one by one where they are not all alike. Nothing is decided here.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence

import attrs
import msgspec

from swarmtui.objects.codec import MalformedObject, OnePut

TRANSACTIONS_FORMAT = 2
TRANSACTIONS_MAX = 100_000  # of one call, or entry

_ENTRY_HEAD = struct.Struct(">Bd")
_ARRAY_HEAD = struct.Struct(">BI")
_ARRAY_32 = 0xDD  # msgpack's code of an array whose count follows in 32 bits
_OLD_FORMAT = b"\x01"
_LENGTH = struct.Struct(">I")

Buffer = bytes | memoryview


@attrs.frozen
class Bundle:
    """`array` says to hold `count` transactions; whether it does shows when it is read."""

    count: int
    array: bytes

    @classmethod
    def of(cls, transactions: Sequence[bytes]) -> Bundle:
        """Of encoded transactions."""
        head = _ARRAY_HEAD.pack(_ARRAY_32, len(transactions))
        return cls(len(transactions), b"".join((head, *transactions)))

    @classmethod
    def read(cls, array: bytes) -> Bundle:
        """What another process sent. Raises MalformedObject."""
        return cls(_count(array), array)

    @property
    def elements(self) -> memoryview:
        """The transactions, one behind another."""
        return memoryview(self.array)[_ARRAY_HEAD.size :]

    def puts(self) -> list[OnePut] | None:
        """All of them, if each is written as one Put, else None."""
        return _puts(self.array)

    def parts(self) -> list[bytes]:
        """Each of them, encoded. Raises MalformedObject."""
        return _parts(self.array)


def _count(array: Buffer) -> int:
    """How many transactions it says to hold, which is no more than there may be. Raises MalformedObject."""
    if len(array) < _ARRAY_HEAD.size:
        raise MalformedObject(f"an array of transactions has at least {_ARRAY_HEAD.size} bytes, not {len(array)}")
    code, count = _ARRAY_HEAD.unpack_from(array)
    if code != _ARRAY_32:
        raise MalformedObject(f"an array with a count of 32 bits expected, not one that begins with 0x{code:02x}")
    if count > min(TRANSACTIONS_MAX, len(array) - _ARRAY_HEAD.size):
        raise MalformedObject(
            f"{count} transactions in {len(array)} bytes, at most {TRANSACTIONS_MAX} of a byte or more"
        )
    return int(count)


_unpack_puts = msgspec.msgpack.Decoder(list[OnePut]).decode
_unpack_parts = msgspec.msgpack.Decoder(list[msgspec.Raw]).decode


def _puts(array: Buffer) -> list[OnePut] | None:
    """The transactions, if each is written as one Put, else None."""
    try:
        return _unpack_puts(array)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None


def _parts(array: Buffer) -> list[bytes]:
    """Each of the transactions, not looked into. Raises MalformedObject."""
    try:
        return [bytes(part) for part in _unpack_parts(array)]
    except (msgspec.DecodeError, RecursionError) as error:
        raise MalformedObject(f"transactions that cannot be told apart: {error}") from None


# ---------------------------------------------------------------------------------------- the data of a log entry


def encode_transactions(transactions: Sequence[bytes], time: float) -> bytes:
    """The data of a TRANSACTIONS entry of these."""
    return encode_entry(len(transactions), transactions, time)


def encode_entry(count: int, pieces: Iterable[Buffer], time: float) -> bytes:
    """The data of a TRANSACTIONS entry, format u8 | the leader's time f64 | the array: of so many transactions, of which each
    piece is one or several."""
    return b"".join((_ENTRY_HEAD.pack(TRANSACTIONS_FORMAT, time), _ARRAY_HEAD.pack(_ARRAY_32, count), *pieces))


def decode_puts(data: bytes) -> tuple[float, list[OnePut]] | None:
    """The leader's time and the transactions of an entry, if each is written as one Put; None of any other entry, and of
    what is none."""
    try:
        time, array = _open(data)
    except MalformedObject:
        return None
    puts = _puts(array)
    return None if puts is None else (time, puts)


def decode_transactions(data: bytes) -> tuple[float, list[bytes]]:
    """The leader's time and the encoded Transactions, not looked into. Raises MalformedObject."""
    if data[:1] == _OLD_FORMAT:
        return _decode_old(data)
    time, array = _open(data)
    return time, _parts(array)


def _open(data: bytes) -> tuple[float, memoryview]:
    """The leader's time, and the array. Raises MalformedObject."""
    if len(data) < _ENTRY_HEAD.size:
        raise MalformedObject(f"an entry of transactions has at least {_ENTRY_HEAD.size} bytes, not {len(data)}")
    version, time = _ENTRY_HEAD.unpack_from(data)
    if version != TRANSACTIONS_FORMAT:
        raise MalformedObject(f"transactions of format {version}, this version reads {TRANSACTIONS_FORMAT}")
    array = memoryview(data)[_ENTRY_HEAD.size :]
    _count(array)
    return time, array


def _decode_old(data: bytes) -> tuple[float, list[bytes]]:
    """As logs hold it that were written before there was the array: (length u32 | encoded Transaction) ... behind the head."""
    if len(data) < _ENTRY_HEAD.size:
        raise MalformedObject(f"an entry of transactions has at least {_ENTRY_HEAD.size} bytes, not {len(data)}")
    transactions: list[bytes] = []
    position, end = _ENTRY_HEAD.size, len(data)
    while position < end:
        start = position + _LENGTH.size
        if start > end:
            raise MalformedObject(f"{end - position} bytes left over at byte {position}")
        position = start + _LENGTH.unpack_from(data, position)[0]
        if position > end:
            raise MalformedObject(f"the transaction at byte {start} ends {position - end} bytes behind the entry")
        transactions.append(data[start:position])
    if len(transactions) > TRANSACTIONS_MAX:
        raise MalformedObject(f"{len(transactions)} transactions together, at most {TRANSACTIONS_MAX}")
    time: float = _ENTRY_HEAD.unpack_from(data)[1]
    return time, transactions

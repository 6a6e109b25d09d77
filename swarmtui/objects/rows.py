"""Keys of applications as rows: there may be a million in memory, a thousand in one answer, and a row costs a fraction of an
object of ours. It becomes a KeyValue when somebody looks at it.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from swarmtui.objects.records import KeyValue

FEW = 4  # rows: to convert them all at once costs as much as three by themselves


class KeyRow(msgspec.Struct, frozen=True, gc=False, array_like=True, forbid_unknown_fields=True):
    """A row of `kv`, in memory, in snapshots and on the wire: these very rows are packed and unpacked, many at once.

    Holds plain values only, so the garbage collector need not know it, and with it none of the dictionaries that a
    million of them lie in: looking through those would stop everything for a tenth of a second."""

    key: str
    version: int
    created_at: float
    updated_at: float
    value: bytes
    lease: str = ""  # none

    @property
    def id(self) -> str:
        """As a record calls its key."""
        return self.key

    @property
    def spec_version(self) -> int:
        """A key is nothing but its spec."""
        return self.version


def key_row(pair: KeyValue) -> KeyRow:
    return KeyRow(pair.id, pair.version, pair.created_at, pair.updated_at, pair.value, pair.lease)


def key_value(row: KeyRow) -> KeyValue:
    return KeyValue(
        id=row.key,
        version=row.version,
        spec_version=row.version,
        created_at=row.created_at,
        updated_at=row.updated_at,
        value=row.value,
        lease=row.lease,
    )


def key_values(rows: Sequence[KeyRow | None]) -> list[KeyValue | None]:
    """`key_value` of each, None where there is none. Of several at a third of the cost: no `__init__` is run, attribute by
    attribute, for each frozen object."""
    if len(rows) <= FEW:
        return [None if row is None else key_value(row) for row in rows]
    return msgspec.convert(rows, list[KeyValue | None], from_attributes=True)

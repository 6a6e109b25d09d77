"""What clients asked of `kv`, when, and what they were told: the histories that `linearizability` judges.

Times are of one clock that sees every client. An operation whose outcome is unknown has no end: it may have happened at any
moment since it began, or may happen yet, or never. A refused one certainly did nothing and is no part of a history; should
its value be seen all the same, then nobody wrote what was read, and that shows.
"""

from __future__ import annotations

import enum
import math

import attrs

NEVER = math.inf
TEXT_BYTES_MAX = 24  # of a value, in a line of text


class Kind(enum.StrEnum):
    GET = "get"
    PUT = "put"
    CAS = "cas"
    DELETE = "delete"


class Ending(enum.StrEnum):
    DONE = "done"
    CONFLICT = "conflict"  # not at the expected version
    ABSENT = "absent"  # nothing there to delete
    UNKNOWN = "unknown"


@attrs.frozen(kw_only=True)
class Operation:
    """`value` is what was written, or what was read (None: no such key). `expected` is the version that a cas or a delete
    named (0: the key must not exist). `version` is what the client was told: of what it wrote, read, or found in its way;
    0 for a key that is not there, None where it was told nothing."""

    client: str
    key: str
    kind: Kind
    began: float
    ended: float = NEVER
    ending: Ending = Ending.UNKNOWN
    value: bytes | None = None
    expected: int | None = None
    version: int | None = None

    @property
    def writes(self) -> bool:
        """Whether it changed the key, or may have."""
        return self.kind is not Kind.GET and self.ending in (Ending.DONE, Ending.UNKNOWN)

    @property
    def is_open(self) -> bool:
        return self.ending is Ending.UNKNOWN

    def __str__(self) -> str:
        words = [f"{self.client} {self.kind} {self.key}"]
        if self.expected is not None:
            words.append(f"expected {self.expected}")
        if self.kind in (Kind.PUT, Kind.CAS):
            words.append(_text(self.value))
        words.append(f"-> {self._answer()}")
        end = "..." if self.ended == NEVER else f"{self.ended:.6f}"
        return f"[{self.began:.6f} {end}] " + " ".join(words)

    def _answer(self) -> str:
        version = "" if self.version is None else f" {self.version}"
        if self.kind is Kind.GET and self.ending is Ending.DONE:
            return "no such key" if self.value is None else f"version{version} {_text(self.value)}"
        if self.ending is Ending.CONFLICT:
            return f"conflict, found{version}"
        return str(self.ending) + (f", version{version}" if version else "")


def _text(value: bytes | None) -> str:
    if value is None:
        return "nothing"
    shown = value[:TEXT_BYTES_MAX].decode("ascii", "backslashreplace")
    return shown if len(value) <= TEXT_BYTES_MAX else f"{shown}... ({len(value)} bytes)"

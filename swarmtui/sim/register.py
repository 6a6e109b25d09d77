"""One key of `kv` as a sequential thing: what each operation does to it, and which answers it could give.

A version is the log index of the write, so it only rises, also over a deletion. What an operation with an unknown outcome
wrote has a version that nobody was told, until a later answer tells it.
"""

from __future__ import annotations

import attrs

from swarmtui.sim.history import Ending, Kind, Operation


@attrs.frozen
class Register:
    """`version` 0: the key does not exist; None: written, at a version not known yet. `floor` is the least version that the
    last change of this key can have had."""

    version: int | None = 0
    value: bytes | None = None
    floor: int = 0

    def __str__(self) -> str:
        if self.version == 0:
            return "no such key"
        shown = "a version not told" if self.version is None else f"version {self.version}"
        return f"{shown} = {self.value!r}"


def step(register: Register, operation: Operation) -> Register | None:
    """The register after this operation with this answer; None if it could not have answered so here."""
    if operation.kind is Kind.GET:
        found = _at(register, operation.version)
        return found if found is not None and found.value == operation.value else None
    if operation.ending is Ending.ABSENT:
        return register if register.version == 0 else None
    if operation.ending is Ending.CONFLICT:
        found = _at(register, operation.version)
        return None if found is None or found.version == operation.expected else found
    return _write(register, operation)


def _write(register: Register, operation: Operation) -> Register | None:
    """A change that was made, or that may have been."""
    if operation.expected is not None:
        found = _at(register, operation.expected)
        if found is None:
            return None
        register = found
    if operation.kind is Kind.DELETE and register.version == 0:
        return None
    version = operation.version
    if version is not None and version <= register.floor:
        return None
    floor = register.floor + 1 if version is None else version
    if operation.kind is Kind.DELETE:
        return Register(0, None, floor)
    return Register(version, operation.value, floor)


def _at(register: Register, version: int | None) -> Register | None:
    """The register if it can be at this version (0: absent; None: not told), with what that tells."""
    if version is None or version == register.version:
        return register
    if register.version is None and version >= register.floor > 0 and version != 0:
        return Register(version, register.value, version)
    return None


def why_not(register: Register, operation: Operation) -> str:
    """Why `step` gives nothing, in a sentence."""
    if operation.kind is Kind.GET:
        return f"the key is at {register}"
    if operation.ending is Ending.ABSENT:
        return f"the key exists, at {register}"
    if operation.ending is Ending.CONFLICT:
        if operation.version == operation.expected:
            return "a conflict with the very version that it expected"
        return f"it found version {operation.version}, the key is at {register}"
    if operation.expected is not None and _at(register, operation.expected) is None:
        return f"it expected version {operation.expected}, the key is at {register}"
    if operation.kind is Kind.DELETE and register.version == 0:
        return "there is nothing to delete"
    return f"its version {operation.version} is not above {register.floor}"

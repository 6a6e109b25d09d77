"""What differs between two objects: leaf functions for conflict texts and for lines about updates."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from swarmtui.objects.records import Record, Service, fields_of

STAMPED = frozenset({"version", "spec_version", "created_at", "updated_at"})
"""The fields that only the store writes."""

DIFFERENCES_MAX = 4  # named in one line
VALUE_LENGTH_MAX = 40  # characters


def spec_of(record: Record) -> Any:
    """What a user asked for: the spec, or of objects without one all but the stamped fields."""
    spec = getattr(record, "spec", None)
    if spec is not None:
        return spec
    return tuple(getattr(record, name) for name in fields_of(type(record)) if name not in STAMPED)


def differences(before: Any, after: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Where two values differ, as (path, before, after), down to the fields of attrs classes and the keys of mappings."""
    if before == after:
        return
    if type(before) is type(after) and attrs.has(type(before)):
        for field in attrs.fields(type(before)):
            if field.name not in STAMPED:
                yield from differences(getattr(before, field.name), getattr(after, field.name), _join(path, field.name))
    elif isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in sorted({*before, *after}):
            yield from differences(before.get(key), after.get(key), _join(path, key))
    else:
        yield path, before, after


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def differences_text(before: Any, after: Any) -> str:
    """`mode.replicas 3 -> 5, labels.tier - -> front`."""
    found = list(differences(before, after))
    shown = [f"{path} {_short(old)} -> {_short(new)}".strip() for path, old, new in found[:DIFFERENCES_MAX]]
    if len(found) > DIFFERENCES_MAX:
        shown.append(f"{len(found) - DIFFERENCES_MAX} more")
    return ", ".join(shown)


def _short(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bytes):
        return f"{len(value)} B"
    if isinstance(value, enum.IntEnum):
        return value.name.lower()
    text = " ".join(str(item) for item in value) if isinstance(value, tuple) else str(value)
    return text if len(text) <= VALUE_LENGTH_MAX else text[: VALUE_LENGTH_MAX - 1] + "…"


def changed_since(stored: Record, expected: int, wished: Record | None = None) -> str:
    """What was changed in `stored` after version `expected`, as far as it can be told from the object itself.
    `wished` is the proposer's object, made from what it had read: what it did not mean to change differs as well."""
    if expected > stored.version:
        return "that version is of another life of the cluster"
    if stored.spec_version <= expected:
        written = differences_text(_without_spec(wished), _without_spec(stored)) if wished is not None else ""
        return f"its spec is unchanged, the system wrote {written or 'other fields'}"
    if isinstance(stored, Service) and stored.previous_spec is not None:
        return f"its spec was changed at {stored.spec_version}: {differences_text(stored.previous_spec, stored.spec)}"
    return f"its spec was changed at {stored.spec_version}"


def _without_spec(record: Record) -> dict[str, Any]:
    return {
        name: getattr(record, name)
        for name in fields_of(type(record))
        if name not in STAMPED and name not in ("spec", "previous_spec")
    }

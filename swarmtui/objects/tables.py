"""Reading a table of a file: every key taken by name and type, every other key refused with the nearest valid one.

`Table` knows its path (`services.web.deploy`), so that each refusal names the key and what would be valid there.
"""

from __future__ import annotations

import difflib
import enum
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

T = TypeVar("T")
E = TypeVar("E", bound=enum.Enum)

MISSING: Any = object()


class InvalidClusterFile(Exception):
    """The operator's file is wrong at `key` (a path such as `services.web.deploy.replicas`, empty for the file itself)."""

    def __init__(self, key: str, message: str, valid: str = "") -> None:
        super().__init__(key, message, valid)
        self.key = key
        self.message = message
        self.valid = valid

    def __str__(self) -> str:
        text = f"{self.key}: {self.message}" if self.key else self.message
        return f"{text}; {self.valid}" if self.valid else text


class Table:
    """A table under `path` that may hold the keys `known` and no other. `later` are keys of the same vocabulary that
    are not supported: refused as such rather than as unknown."""

    def __init__(self, value: object, path: str, known: Iterable[str], later: Mapping[str, str] | None = None) -> None:
        if not isinstance(value, dict):
            raise InvalidClusterFile(path, f"must be a table, not {value!r}")
        self.path = path
        self._values: dict[str, Any] = value
        names = sorted(known)
        for key in value:
            if key in names:
                continue
            if later and key in later:
                raise InvalidClusterFile(self.at(key), "is not supported here", later[key])
            raise InvalidClusterFile(self.at(key), "is no known key", nearest(key, names))

    def at(self, key: str) -> str:
        return f"{self.path}.{key}" if self.path else key

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def raw(self, key: str, default: Any = None) -> Any:
        return self._values.get(key, default)

    def read(self, key: str, reader: Callable[[Any], T], default: T = MISSING) -> T:
        """The value through `reader`, whose ValueError becomes a refusal that names the key."""
        if key not in self._values:
            if default is MISSING:
                raise InvalidClusterFile(self.at(key), "is missing")
            return default
        try:
            return reader(self._values[key])
        except ValueError as error:
            raise InvalidClusterFile(self.at(key), str(error)) from None

    def text(self, key: str, default: str = MISSING) -> str:
        return self.read(key, as_text, default)

    def integer(self, key: str, default: int = MISSING, *, low: int = 0, high: int = 2**31 - 1) -> int:
        return self.read(key, lambda value: as_integer(value, low, high), default)

    def flag(self, key: str, default: bool) -> bool:
        return self.read(key, _as_flag, default)

    def choice(self, key: str, choices: type[E], default: E) -> E:
        return self.read(key, lambda value: as_choice(value, choices), default)

    def pairs(self, key: str) -> dict[str, str]:
        """Compose's map or list: `{A = "1"}` or `["A=1"]`; a list's entry without `=` has an empty value."""
        return self.read(key, as_pairs, {})

    def table(self, key: str, known: Iterable[str], later: Mapping[str, str] | None = None) -> Table:
        """The table under `key`; an absent one is empty."""
        return Table(self._values.get(key, {}), self.at(key), known, later)


def nearest(word: str, valid: Iterable[str]) -> str:
    """`did you mean replicas? valid: mode, replicas`."""
    names = list(valid)
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    listed = f"valid: {', '.join(names)}"
    return f"did you mean {close[0]}? {listed}" if close else listed


def as_text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"must be a text in quotes, not {value!r}")
    return value


def as_integer(value: Any, low: int, high: int) -> int:
    """A whole number; a text of digits counts, since that is what `"${N}"` leaves."""
    if isinstance(value, str) and value.strip().lstrip("-").isdecimal():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        bounds = f"from {low} to {high}" if high < 2**31 - 1 else f"of at least {low}"
        raise ValueError(f"must be a whole number {bounds}, not {value!r}")
    return value


def as_choice(value: Any, choices: type[E]) -> E:
    try:
        return choices(value)
    except ValueError:
        valid = ", ".join(str(choice.value) for choice in choices)
        raise ValueError(f"must be one of {valid}, not {value!r}") from None


def as_pairs(value: Any) -> dict[str, str]:
    if isinstance(value, list):
        pairs = [as_text(item).partition("=") for item in value]
        return {key: text for key, _, text in pairs}
    if isinstance(value, dict):
        return {key: as_scalar_text(item) for key, item in value.items()}
    raise ValueError(f'must be a table or a list of "KEY=value", not {value!r}')


def as_scalar_text(value: Any) -> str:
    """The text of a TOML scalar as YAML would write it: `true`, `3`, `1.5`."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (str, int, float)):
        return str(value)
    raise ValueError(f"must hold texts and numbers only, not {value!r}")


def _as_flag(value: Any) -> bool:
    if isinstance(value, str) and value in ("true", "false"):
        return value == "true"
    if not isinstance(value, bool):
        raise ValueError(f"must be true or false, not {value!r}")
    return value

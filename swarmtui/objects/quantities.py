"""Durations, sizes and CPUs as people write them in Docker's command line and files, read into the Engine's integers.

Every reader raises `ValueError` with a sentence that says what would be valid; who reads a file or a command line adds
which key or option it was.
"""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation

SECOND_NS = 1_000_000_000
DURATION_NS_MAX = 2**63 - 1  # Go's int64, about 292 years
SIZE_BYTES_MAX = 2**63 - 1
NANO_CPUS_MIN = 1_000_000  # swarmkit: at least 0.001 CPU where any is named
MEMORY_BYTES_MIN = 4 * 1024 * 1024  # swarmkit: at least 4 MiB where any is named

_UNIT_NS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "ms": 1_000_000,
    "s": SECOND_NS,
    "m": 60 * SECOND_NS,
    "h": 3600 * SECOND_NS,
}
_DURATION_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([bkmgtp]?)i?b?", re.IGNORECASE)
_DURATION_VALID = 'a duration such as "500ms", "1s" or "1m30s"'
_SIZE_VALID = 'a size such as 65536, "512k", "64MB" or "1g"'


def parse_duration_ns(text: str | int) -> int:
    """Nanoseconds of Go's notation: `500ms`, `1s`, `1m30s`, `0`. Never negative."""
    if isinstance(text, bool) or (isinstance(text, int) and text != 0):
        raise ValueError(f"{text!r} is no duration; write {_DURATION_VALID}")
    text = str(text).strip()
    if text == "0":
        return 0
    total, position = Decimal(0), 0
    while match := _DURATION_PART.match(text, position):
        total += Decimal(match[1]) * _UNIT_NS[match[2]]
        position = match.end()
    if not position or position != len(text):
        raise ValueError(f"{text!r} is no duration; write {_DURATION_VALID}")
    if total > DURATION_NS_MAX:
        raise ValueError(f"{text!r} is longer than 292 years; write {_DURATION_VALID}")
    return int(total)


def parse_duration_s(text: str | int) -> float:
    return parse_duration_ns(text) / SECOND_NS


def format_duration_ns(duration_ns: int) -> str:
    """The shortest text that `parse_duration_ns` reads back as the same number: `1m30s`, `500ms`, `0s`."""
    if duration_ns == 0:
        return "0s"
    parts, rest = [], duration_ns
    for unit in ("h", "m"):
        count, rest = divmod(rest, _UNIT_NS[unit])
        if count:
            parts.append(f"{count}{unit}")
    if rest:
        unit = next(unit for unit in ("s", "ms", "us", "ns") if rest >= _UNIT_NS[unit])
        number = (Decimal(rest) / _UNIT_NS[unit]).normalize()
        parts.append(f"{number:f}{unit}")
    return "".join(parts)


def parse_size_bytes(text: str | int) -> int:
    """Bytes of Docker's notation. Units are powers of 1024, whatever their spelling (`k`, `kb`, `KiB`), as in Docker."""
    if isinstance(text, bool):
        raise ValueError(f"{text!r} is no size; write {_SIZE_VALID}")
    match = _SIZE.fullmatch(str(text).strip())
    if match is None:
        raise ValueError(f"{text!r} is no size; write {_SIZE_VALID}")
    size = int(Decimal(match[1]) * 1024 ** "bkmgtp".index(match[2].lower() or "b"))
    if size > SIZE_BYTES_MAX:
        raise ValueError(f"{text!r} is too large; write {_SIZE_VALID}")
    return size


def parse_memory_bytes(text: str | int) -> int:
    """Memory to reserve or to limit: a size of at least 4 MiB, or 0 for none."""
    size = parse_size_bytes(text)
    if 0 < size < MEMORY_BYTES_MIN:
        raise ValueError(f"{text!r} of memory is too little; at least 4MB, or 0 for none")
    return size


def parse_nano_cpus(text: str | float) -> int:
    """CPUs such as `0.5` in units of 1e-9 CPU; at least 0.001, or 0 for none."""
    try:
        if isinstance(text, bool):
            raise InvalidOperation
        nano = int(Decimal(str(text).strip()) * 1_000_000_000)
    except (InvalidOperation, ValueError, OverflowError):
        raise ValueError(f'{text!r} is no number of CPUs; write one such as "0.5"') from None
    if nano < 0 or 0 < nano < NANO_CPUS_MIN:
        raise ValueError(f"{text!r} CPUs is too little; at least 0.001, or 0 for none")
    return nano

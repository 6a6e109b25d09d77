"""Histories for the tests of the checker: written by hand, generated from sequential runs, and an oracle that tries all."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator, Sequence

import attrs

from swarmtui.sim.history import NEVER, Ending, Kind, Operation


def get(began: float, ended: float, value: str | None, version: int, client: str = "r") -> Operation:
    read = None if value is None else value.encode()
    return _made(Kind.GET, client, began, ended, Ending.DONE, value=read, version=version)


def put(began: float, ended: float, value: str, version: int | None = None, client: str = "w") -> Operation:
    """Open-ended, and so unknown, with `ended` NEVER."""
    return _made(Kind.PUT, client, began, ended, Ending.DONE, value=value.encode(), version=version)


def cas(began: float, ended: float, expected: int, value: str, version: int | None = None) -> Operation:
    return _made(Kind.CAS, "c", began, ended, Ending.DONE, value=value.encode(), expected=expected, version=version)


def conflict(began: float, ended: float, expected: int, found: int) -> Operation:
    return _made(Kind.CAS, "c", began, ended, Ending.CONFLICT, value=b"lost", expected=expected, version=found)


def delete(began: float, ended: float, version: int | None = None, expected: int | None = None) -> Operation:
    return _made(Kind.DELETE, "d", began, ended, Ending.DONE, expected=expected, version=version)


def nothing_to_delete(began: float, ended: float) -> Operation:
    return _made(Kind.DELETE, "d", began, ended, Ending.ABSENT)


def _made(kind: Kind, client: str, began: float, ended: float, ending: Ending, **rest) -> Operation:
    if ended == NEVER:
        ending = Ending.UNKNOWN
    return Operation(client=client, key="k", kind=kind, began=began, ended=ended, ending=ending, **rest)


# ------------------------------------------------------------------------------------------------ sequential runs


def overlapping_run(rng: random.Random, count: int, unknown: float, repeated: float = 0.3) -> list[Operation]:
    """What clients could have seen of a sequential run in which the operation at step n happens at time n: each begins
    some time before and ends some time after; a share of values is `repeated`; some never hear of their end; some unknown ones never happen."""
    version, value, log = 0, None, 0
    found: list[Operation] = []
    for at in range(count):
        kind = rng.choice([Kind.GET, Kind.GET, Kind.PUT, Kind.CAS, Kind.DELETE])
        wished = f"v{rng.randint(0, 3) if rng.random() < repeated else at + 10}".encode()
        expected = rng.choice([version, version, 0, log, max(0, log - 1)])
        if kind in (Kind.GET, Kind.PUT) or (kind is Kind.DELETE and rng.random() < 0.6):
            expected = None
        happens = True
        ending, told = Ending.DONE, version
        hidden = kind is not Kind.GET and rng.random() < unknown
        if hidden:
            happens = rng.random() < 0.6
        if kind is not Kind.GET:
            if kind is Kind.DELETE and version == 0:
                ending = Ending.ABSENT
            elif expected is not None and expected != version:
                ending = Ending.CONFLICT
            elif happens:
                log += rng.randint(1, 3)
                told = log
                version, value = (0, None) if kind is Kind.DELETE else (log, wished)
        shown = value if kind is Kind.GET else wished if kind is not Kind.DELETE else None
        began, ended = at - rng.uniform(0, 4), at + rng.uniform(0, 4)
        if hidden:
            ending, ended, told = Ending.UNKNOWN, NEVER, None
        found.append(
            Operation(
                client=f"c{at}",
                key="k",
                kind=kind,
                began=began,
                ended=ended,
                ending=ending,
                value=shown,
                expected=expected,
                version=None if ending is Ending.ABSENT else told,
            )
        )
    return found


def mutated(rng: random.Random, history: Sequence[Operation]) -> list[Operation]:
    """One answer, or one time, is another."""
    changed = list(history)
    at = rng.randrange(len(changed))
    one, other = changed[at], rng.choice(changed)
    if rng.random() < 0.3 and one.ended != NEVER:
        later = one.ended + rng.uniform(0, 6)
        changed[at] = attrs.evolve(one, began=later, ended=later + rng.uniform(0, 2))
    elif one.kind is Kind.GET:
        version = 0 if other.value is None else other.version or rng.randint(1, 9)
        changed[at] = attrs.evolve(one, value=other.value, version=version)
    elif one.version is not None:
        changed[at] = attrs.evolve(one, version=max(1, one.version + rng.choice([-2, -1, 1, 2])))
    return changed


# ---------------------------------------------------------------------------------------------------- the oracle


def can_be_ordered(history: Sequence[Operation]) -> bool:
    """By trying everything: each subset of unknown writes, each order that respects real time, each version that somebody
    was told for what was written at a version not told."""
    known = [one for one in history if one.ending is not Ending.UNKNOWN]
    open_writes = [one for one in history if one.ending is Ending.UNKNOWN and one.kind is not Kind.GET]
    for count in range(len(open_writes) + 1):
        for chosen in itertools.combinations(open_writes, count):
            if any(_explains(order) for order in _orders([*known, *chosen])):
                return True
    return False


def _orders(operations: list[Operation]) -> Iterator[list[Operation]]:
    if not operations:
        yield []
    limit = min((one.ended for one in operations), default=math.inf)
    for at, one in enumerate(operations):
        if one.began <= limit:
            for rest in _orders(operations[:at] + operations[at + 1 :]):
                yield [one, *rest]


def _explains(order: list[Operation]) -> bool:
    told = sorted({version for one in order for version in (one.version, one.expected) if version})
    return _walk(order, 0, None, 0, told)


def _walk(order: list[Operation], version: float, value: bytes | None, last: float, told: list[int]) -> bool:
    """`last` is the version of the newest change, `version` 0 while there is no key."""
    if not order:
        return True
    one, rest = order[0], order[1:]
    if one.kind is Kind.GET:
        return value == one.value and version == one.version and _walk(rest, version, value, last, told)
    if one.ending is Ending.ABSENT:
        return version == 0 and _walk(rest, version, value, last, told)
    if one.ending is Ending.CONFLICT:
        return version == one.version != one.expected and _walk(rest, version, value, last, told)
    if one.expected is not None and one.expected != version:
        return False
    if one.kind is Kind.DELETE and version == 0:
        return False
    wanted: list[float] = [one.version] if one.version is not None else [*told, math.floor(last) + 1]
    return any(
        _walk(rest, 0 if one.kind is Kind.DELETE else new, None if one.kind is Kind.DELETE else one.value, new, told)
        for new in wanted
        if new > last
    )

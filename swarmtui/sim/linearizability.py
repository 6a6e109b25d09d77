"""Is there one order of all these operations that explains every answer, and that nobody could have seen violated?

The search of Wing and Gong with the memory of Lowe, as Porcupine does it: keys are independent, so each is judged alone
(Herlihy and Wing: linearizability is local); of a key's operations, any that began before the first end of those not yet
placed may come next; a set of placed operations with a state that was met before is not tried again.

What makes it quick on real histories, without changing the answer:
- an operation that can answer as it did and changes nothing is placed at once: placing it later cannot help anybody;
- writes are tried by their version, which in a right history is their order;
- an unknown write whose value somebody read has the version that was read with it, where only one write had that value;
- an unknown write is placed only right before an operation that could not come next without it (they may happen as late
  as one likes, and one that nobody sees may as well never happen), or not with the same meaning: after a write at a version
  that nobody was told, an answer that names one says whose it is;
- of several unknown writes that no answer tells apart only the first is tried.

The search is bounded: after STEPS_MAX steps the verdict is UNDECIDED, which is neither.
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import attrs

from swarmtui.sim.history import Ending, Kind, Operation
from swarmtui.sim.register import Register, step

STEPS_MAX = 400_000  # tried placements, of one key


class Verdict(enum.StrEnum):
    LINEARIZABLE = "linearizable"
    VIOLATED = "violated"
    UNDECIDED = "undecided"


@attrs.frozen
class Judgement:
    """`order` is a witness if linearizable, else the longest that could be ordered, `register` the key after it, and
    `stuck` the operations of which one had to come next and none could."""

    key: str
    verdict: Verdict
    steps: int
    order: tuple[Operation, ...] = ()
    register: Register = Register()
    stuck: tuple[Operation, ...] = ()


def judge(history: Iterable[Operation], steps_max: int = STEPS_MAX) -> list[Judgement]:
    """Of each key, sorted."""
    by_key: dict[str, list[Operation]] = {}
    for operation in history:
        by_key.setdefault(operation.key, []).append(operation)
    return [judge_key(by_key[key], steps_max) for key in sorted(by_key)]


def judge_key(operations: Sequence[Operation], steps_max: int = STEPS_MAX) -> Judgement:
    """Of one key's operations, in any order."""
    key = operations[0].key if operations else ""
    search = _Search(_with_versions([one for one in operations if one.writes or not one.is_open]), steps_max)
    verdict = search.run()
    return Judgement(key, verdict, search.steps, tuple(search.best_order), search.best_register, tuple(search.stuck))


def check_versions(history: Iterable[Operation]) -> tuple[Operation, Operation] | None:
    """Versions are indexes of one log, so over all keys a write that began after another operation had ended has a higher
    version than that one was told. The first pair for which this is not so."""
    operations = [one for one in history if one.ending is Ending.DONE and one.version]
    ended = sorted(operations, key=lambda one: one.ended)
    highest: Operation | None = None
    position = 0
    for later in sorted(operations, key=lambda one: one.began):
        while ended[position].ended < later.began:
            if highest is None or (ended[position].version or 0) > (highest.version or 0):
                highest = ended[position]
            position += 1
        if later.writes and highest is not None and (later.version or 0) <= (highest.version or 0):
            return highest, later
    return None


# ------------------------------------------------------------------------------------------------- unknown outcomes


def _with_versions(operations: Sequence[Operation]) -> list[Operation]:
    """Unknown writes with the version that was read with their value, where the value is theirs alone."""
    writers = Counter(one.value for one in operations if one.writes)
    read = {one.value: one.version for one in operations if one.kind is Kind.GET and one.value is not None}
    return [
        attrs.evolve(one, version=read[one.value])
        if one.is_open and one.value in read and writers[one.value] == 1
        else one
        for one in operations
    ]


# ------------------------------------------------------------------------------------------------------- the search


@attrs.define
class _Frame:
    """A point of the search: what was placed (bits), the key then, and which placements are still to be tried. `low` is
    the first operation with an end that is not placed, `placed` how many were placed to come here."""

    placed_closed: int
    placed_open: int
    low: int
    register: Register
    depth: int
    choices: list[tuple[bool, int, Register]]


class _Search:
    """Over `closed` operations, which must all be placed, and `open` ones, which may be."""

    def __init__(self, operations: Sequence[Operation], steps_max: int) -> None:
        ordered = sorted(operations, key=lambda one: (one.began, one.ended))
        self.closed = [one for one in ordered if not one.is_open]
        self.open = [one for one in ordered if one.is_open]
        self.steps = 0
        self.steps_max = steps_max
        self.order: list[Operation] = []
        self.best_order: list[Operation] = []
        self.best_register = Register()
        self.stuck: list[Operation] = []
        self._read = {one.value for one in self.closed if one.kind is Kind.GET}
        self._met: set[tuple[int, int, Register]] = set()

    def run(self) -> Verdict:
        first = self._arrive(0, 0, 0, Register(), 0)
        stack = [] if first is None else [first]
        while stack:
            frame = stack[-1]
            if frame.low == len(self.closed):
                self.best_order, self.stuck = self.order, []
                return Verdict.LINEARIZABLE
            if self.steps > self.steps_max:
                return Verdict.UNDECIDED
            if not frame.choices:
                stack.pop()
                continue
            is_open, at, register = frame.choices.pop()
            del self.order[frame.depth :]
            self.order.append((self.open if is_open else self.closed)[at])
            placed_closed = frame.placed_closed | (0 if is_open else 1 << at)
            placed_open = frame.placed_open | (1 << at if is_open else 0)
            arrived = self._arrive(placed_closed, placed_open, frame.low, register, frame.depth + 1)
            if arrived is not None:
                stack.append(arrived)
        return Verdict.VIOLATED

    def _arrive(self, placed_closed: int, placed_open: int, low: int, register: Register, depth: int) -> _Frame | None:
        """Place what can be placed for nothing, and see what may come next. None: been here before."""
        closed = self.closed
        while True:
            while low < len(closed) and placed_closed >> low & 1:
                low += 1
            candidates, limit = self._candidates(placed_closed, low)
            idle = [at for at in candidates if step(register, closed[at]) == register]
            self.steps += len(candidates)
            if not idle:
                break
            for at in idle:
                placed_closed |= 1 << at
                self.order.append(closed[at])
            depth += len(idle)
        met = (placed_closed, placed_open, register)
        if met in self._met:
            return None
        self._met.add(met)
        if depth > len(self.best_order) or not self.stuck:
            self.best_order, self.best_register = list(self.order), register
            self.stuck = [closed[at] for at in candidates]
        choices = self._choices(candidates, limit, placed_open, register)
        return _Frame(placed_closed, placed_open, low, register, depth, choices)

    def _candidates(self, placed: int, low: int) -> tuple[list[int], float]:
        """The operations that began before the first end among those not placed, and that end."""
        limit = float("inf")
        found: list[int] = []
        for at in range(low, len(self.closed)):
            one = self.closed[at]
            if one.began > limit:
                break
            if not placed >> at & 1:
                found.append(at)
                limit = min(limit, one.ended)
        return [at for at in found if self.closed[at].began <= limit], limit

    def _choices(
        self, candidates: list[int], limit: float, placed_open: int, register: Register
    ) -> list[tuple[bool, int, Register]]:
        """The placements to try, the most likely one last: by version, those with an end before those without."""
        choices: list[tuple[float, bool, float, int, Register]] = []
        for at in candidates:
            one = self.closed[at]
            after = step(register, one)
            if after is not None:
                choices.append((_rank(one), False, one.ended, at, after))
        for at in self._useful(candidates, limit, placed_open, register):
            one = self.open[at]
            after = step(register, one)
            assert after is not None
            choices.append((_rank(one), True, one.began, at, after))
        self.steps += len(choices)
        choices.sort(key=lambda choice: choice[:4], reverse=True)
        return [(is_open, at, after) for _, is_open, _, at, after in choices]

    def _useful(self, candidates: list[int], limit: float, placed_open: int, register: Register) -> Iterator[int]:
        """The unknown writes without which some operation could not come next, or would say whose a version is."""
        began = [(at, one) for at, one in enumerate(self.open) if not placed_open >> at & 1 and one.began <= limit]
        tells = register.version is None
        blocked = [self.closed[at] for at in candidates if tells or step(register, self.closed[at]) is None]
        blocked += [one for _, one in began if one.expected is not None and (tells or step(register, one) is None)]
        alike: set[tuple[object, ...]] = set()
        for at, one in began if blocked else ():
            told = one.value if one.value in self._read else None
            same = (one.kind is Kind.DELETE, told, one.expected, one.version)
            after = None if same in alike else step(register, one)
            alike.add(same)
            if after is not None:
                self.steps += len(blocked)
                if any(step(after, other) is not None for other in blocked if other is not one):
                    yield at


def _rank(operation: Operation) -> float:
    return float("inf") if operation.version is None else operation.version

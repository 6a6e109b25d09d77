"""The shape of every loop of the manager: told of changes, asked what to do now, told what became of it.

A reconciler sorts its work by keys (a service's id, a slot, a node's id). A key is *dirty* when something about it
changed, *due* when a deadline has come, and *undecided* while a transaction about it has no result yet; an undecided key
is left alone, and looked at again afterwards if it became dirty meanwhile.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

import attrs

from swarmtui.objects.operations import Operation, Verdict
from swarmtui.objects.records import Cluster
from swarmtui.store import Change, Store

RETRY_FIRST_S = 0.02
RETRY_MAX_S = 1.0


@attrs.frozen
class Moment:
    """Now, twice: `now` is monotonic and measures; `wall` is the time of day and only labels."""

    now: float
    wall: float


@attrs.frozen
class Narration:
    """One event to tell: kind, whole line, the id of the object it is about, and data.

    Only what the store's changes do not say by themselves: causes. That a node is Down or a task failed is told by whoever
    chronicles the store.
    """

    kind: str
    text: str
    object: str = ""
    data: Mapping[str, Any] = attrs.field(factory=dict)


@attrs.frozen
class Decision:
    """Operations that happen together or not at all, about `keys`; `says` is told once they have happened.

    `more`: the decision was cut at the limits of a transaction, so its keys are looked at again once it is applied.
    `alone`: never merged with others into one transaction.
    """

    keys: tuple[str, ...]
    operations: tuple[Operation, ...]
    says: tuple[Narration, ...] = ()
    more: bool = False
    alone: bool = False


def cluster_of(store: Store) -> Cluster:
    """The settings that all managers obey. Genesis writes them before anything here runs."""
    clusters = store.all(Cluster)
    return clusters[0] if clusters else _UNBORN


_UNBORN = Cluster(id="", name="")


class Loop(abc.ABC):
    """What is dirty, due and undecided; `step` says what is to be done about it."""

    name: ClassVar[str]
    tables: ClassVar[frozenset[str]]

    def __init__(self, store: Store, new_id: Callable[[], str]) -> None:
        self.store = store
        self.new_id = new_id
        self._dirty: dict[str, None] = {}
        self._undecided: set[str] = set()
        self._deadlines: dict[str, float] = {}
        self._failures: dict[str, int] = {}

    @abc.abstractmethod
    def notice(self, change: Change, moment: Moment) -> None:
        """Something of `tables` changed, and the store is already past it: mark what it makes dirty."""

    @abc.abstractmethod
    def look_at_everything(self, moment: Moment) -> None:
        """At the start, and whenever changes were lost."""

    def mark(self, keys: Iterable[str]) -> None:
        """In an order that is the same in every process: what is decided follows it, and a seed is to be repeated."""
        for key in keys:
            self._dirty[key] = None

    def look_again_at(self, key: str, when: float) -> None:
        """Ask about `key` at `when` (monotonic seconds) at the latest; the earliest of several wins."""
        self._deadlines[key] = min(when, self._deadlines.get(key, when))

    @property
    def deadline(self) -> float | None:
        """When `step` has something to do even if nothing changes."""
        return min((when for key, when in self._deadlines.items() if key not in self._undecided), default=None)

    @abc.abstractmethod
    def step(self, moment: Moment) -> list[Decision]:
        """What is to be proposed now. Every key in it is undecided until `settled`."""

    def take_dirty(self, moment: Moment) -> list[str]:
        """The keys to look at now: those that are dirty or due, and decided."""
        if self._deadlines:
            self.mark([key for key, when in self._deadlines.items() if when <= moment.now])
        keys = [key for key in self._dirty if key not in self._undecided]
        for key in keys:
            del self._dirty[key]
            self._deadlines.pop(key, None)
        return keys

    def settled(self, decision: Decision, verdict: Verdict | None, moment: Moment) -> None:
        """The result of the transaction is applied here; None: it was refused, or what became of it was unknown for a
        while and is decided by now. Unless done, look again: at once the first time, then later and later (what is never
        accepted must not become a busy loop)."""
        done = verdict is Verdict.DONE
        self._undecided.difference_update(decision.keys)
        for key in decision.keys:
            if done:
                self._failures.pop(key, None)
                if decision.more:
                    self._dirty[key] = None
                continue
            failures = self._failures[key] = self._failures.get(key, 0) + 1
            if failures == 1 and verdict is not None:
                self._dirty[key] = None
            else:
                wait_s = min(RETRY_FIRST_S * 2 ** min(failures, 10), RETRY_MAX_S)
                self.look_again_at(key, moment.now + wait_s)


class Reconciler(Loop):
    """`decide` is its heart: one key, looked at afresh, and what is to be done about it or None."""

    @abc.abstractmethod
    def decide(self, key: str, moment: Moment) -> Decision | None: ...

    def step(self, moment: Moment) -> list[Decision]:
        decisions: list[Decision] = []
        for key in self.take_dirty(moment):
            decision = self.decide(key, moment)
            if decision is not None:
                self._undecided.update(decision.keys)
                decisions.append(decision)
        return decisions

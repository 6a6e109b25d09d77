"""Transactions on their way into the log, and the answers on their way back: who waits for which index.

Every write ends as done, refused or unknown, and this file is where that promise is kept:

- *refused* is said only when nothing was appended, or when another entry was applied at the index where it stood;
- a write that was appended is settled when its index is applied: same term, its result; another term, refused;
- losing leadership settles nothing: the entry may still be committed, so its waiter waits on until its deadline, and then
  the answer is *unknown*, and nobody sends it again.

What is asked for between two drains of the core travels together: one proposal of few entries, one sync, one round.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import attrs
import trio

from swarmtui.objects.codec import MalformedObject, encode, encode_transactions
from swarmtui.objects.operations import Result, Transaction, Verdict
from swarmtui.raft.effects import Accepted, Refused
from swarmtui.raft.entries import EntryKind
from swarmtui.raft.inputs import Input, Proposed
from swarmtui.store.batching import split
from swarmtui.store.validation import check
from swarmtui.wire.calls import Fate, Outcome

ENTRY_DATA_BYTES_MAX = 1024 * 1024  # of transactions put into one entry; a larger one has an entry of its own
WAITING_MAX = 20_000  # transactions waiting for their result; more are refused


@attrs.define(eq=False)
class _Asked:
    """One call: wakes its task once, when the last of its transactions is decided."""

    undecided: int
    decided: trio.Event = attrs.field(factory=trio.Event)


@attrs.define(eq=False)
class _Waiter:
    """One transaction of a call. The first answer holds."""

    encoded: bytes
    transaction: Transaction
    asked: _Asked
    outcome: Outcome | None = None

    def keep(self, outcome: Outcome) -> None:
        if self.outcome is None:
            self.outcome = outcome
            self.asked.undecided -= 1
            if not self.asked.undecided:
                self.asked.decided.set()


class Proposals:
    """Feeds the core with `Proposed`, keeps who waits by (index, term), settles them as entries are applied."""

    def __init__(self, feed: Callable[[Input], None], ring: Callable[[], None]) -> None:
        self._feed = feed
        self._ring = ring
        self._pending: dict[int, list[_Waiter]] = {}  # by the term they are meant for
        self._asked: dict[int, list[list[_Waiter]]] = {}  # by ticket: entries not yet accepted
        self._waiting: dict[int, tuple[int, list[_Waiter]]] = {}  # by index: appended, not yet applied
        self._ticket = 0
        self._count = 0
        self._waiting_for_none = trio.lowlevel.ParkingLot()
        self.closed = ""  # why nothing is taken any more (a full disk), "" while it is

    @property
    def count(self) -> int:
        """Transactions that wait for an answer."""
        return self._count

    async def all_answered(self) -> None:
        """Wait until no transaction waits for an answer."""
        while self._count:
            await self._waiting_for_none.park()

    async def submit(
        self, transactions: Sequence[Transaction], term: int, timeout_s: float, encoded: Sequence[bytes] = ()
    ) -> tuple[Outcome, ...]:
        """Propose in exactly `term` and wait for the outcome of each. `encoded` are the same transactions as bytes, where
        they came so. Never raises but Cancelled."""
        if not transactions:
            return ()
        asked = _Asked(len(transactions))
        encoded = encoded or [b""] * len(transactions)
        waiters = [_Waiter(*both, asked) for both in zip(encoded, transactions, strict=True)]
        for waiter in waiters:
            self._admit(waiter, term)
        try:
            with trio.move_on_after(timeout_s):
                await asked.decided.wait()
        finally:
            self._count -= len(waiters)
            if not self._count:
                self._waiting_for_none.unpark_all()
        return tuple([waiter.outcome or self._undecided(waiter, timeout_s) for waiter in waiters])

    def _admit(self, waiter: _Waiter, term: int) -> None:
        self._count += 1
        wrong = self._wrong(waiter)
        if wrong:
            waiter.keep(Outcome(Fate.REFUSED, rule="invalid", reason=wrong))
        elif self.closed:
            waiter.keep(Outcome(Fate.REFUSED, rule="disk", reason=self.closed))
        elif self._count > WAITING_MAX:
            reason = f"{WAITING_MAX} writes are waiting already; try again later"
            waiter.keep(Outcome(Fate.REFUSED, rule="overload", reason=reason))
        else:
            self._pending.setdefault(term, []).append(waiter)
            self._ring()

    @staticmethod
    def _wrong(waiter: _Waiter) -> str | None:
        """Why it may not enter the log. Fills in its bytes."""
        try:
            waiter.encoded = waiter.encoded or encode(waiter.transaction)
        except MalformedObject as error:
            return str(error)
        return check(waiter.transaction, len(waiter.encoded))

    def _undecided(self, waiter: _Waiter, timeout_s: float) -> Outcome:
        for waiters in self._pending.values():
            if waiter in waiters:  # never reached the core: certainly not appended
                waiters.remove(waiter)
                return Outcome(Fate.REFUSED, rule="timeout", reason="the leader was too busy to take it in time")
        return Outcome(
            Fate.UNKNOWN,
            rule="timeout",
            reason=f"appended but not known to be committed after {timeout_s:g} s; read it again before you repeat it",
        )

    def flush(self) -> None:
        """Hand everything pending to the core. Called before each drain."""
        if not self._pending:
            return
        pending, self._pending = self._pending, {}
        now = time.time()
        for term, waiters in pending.items():
            by_transaction = [(waiter.encoded, waiter.transaction) for waiter in waiters]
            entries: list[list[_Waiter]] = []
            position = 0
            for group in split(by_transaction, ENTRY_DATA_BYTES_MAX):
                entries.append(waiters[position : position + len(group)])
                position += len(group)
            payloads = tuple(encode_transactions([waiter.encoded for waiter in group], now) for group in entries)
            self._ticket += 1
            self._asked[self._ticket] = entries
            self._feed(Proposed(self._ticket, term, payloads, EntryKind.TRANSACTIONS))

    def accepted(self, effect: Accepted) -> None:
        for offset, waiters in enumerate(self._asked.pop(effect.ticket, [])):
            self._displace(effect.first_index + offset)
            self._waiting[effect.first_index + offset] = (effect.term, waiters)

    def refused(self, effect: Refused) -> None:
        for waiters in self._asked.pop(effect.ticket, []):
            for waiter in waiters:
                waiter.keep(Outcome(Fate.REFUSED, rule=effect.rule, reason=effect.reason))

    def applied(self, index: int, term: int, results: Sequence[Result]) -> None:
        """The entry (index, term) was applied with these results."""
        if not self._waiting:
            return
        found = self._waiting.pop(index, None)
        if found is None:
            return
        asked_term, waiters = found
        if asked_term != term or len(results) != len(waiters):
            self._overwritten(waiters, index, asked_term, term)
            return
        for waiter, result in zip(waiters, results, strict=True):
            waiter.keep(outcome_of(result))

    def passed_over(self, index: int) -> None:
        """A snapshot replaced the state up to `index`: what became of those writes cannot be told here."""
        for waiting_index in [waiting for waiting in self._waiting if waiting <= index]:
            _, waiters = self._waiting.pop(waiting_index)
            reason = "a snapshot took the place of its entry; read it again before you repeat it"
            for waiter in waiters:
                waiter.keep(Outcome(Fate.UNKNOWN, rule="snapshot", reason=reason))

    def _displace(self, index: int) -> None:
        """This leader appends at `index` again, in a later term: what it had there in an earlier one was overwritten."""
        found = self._waiting.pop(index, None)
        if found is not None:
            self._overwritten(found[1], index, found[0], None)

    @staticmethod
    def _overwritten(waiters: Sequence[_Waiter], index: int, asked_term: int, term: int | None) -> None:
        by = "" if term is None else f" by one of term {term}"
        reason = f"the entry {index} of term {asked_term} was overwritten{by}: the leader had lost its quorum"
        for waiter in waiters:
            waiter.keep(Outcome(Fate.REFUSED, rule="overwritten", reason=reason))


def outcome_of(result: Result) -> Outcome:
    """The store's verdict as the outcome of the request."""
    if result.verdict is Verdict.DONE:
        return Outcome(Fate.DONE, result)
    return Outcome(Fate.REFUSED, result, rule=str(result.verdict), reason=result.text)

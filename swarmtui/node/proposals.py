"""Transactions on their way into the log, and the answers on their way back: who waits for which index.

Every write ends as done, refused or unknown, and this file is where that promise is kept:

- *refused* is said only when nothing was appended, or when another entry was applied at the index where it stood;
- a write that was appended is settled when its index is applied: same term, its result; another term, refused. Not
  before: that this node had to drop it, and leads again and appends in its place, does not mean that nobody has it;
- losing leadership settles nothing: the entry may still be committed, so its call waits on until its deadline, and then
  the answer is *unknown*.

What is asked for between two drains of the core, or while its disk is at work, travels together: one proposal of few
entries, one sync, one round. A transaction is bytes here: looked into once, to see whether it may be proposed and what it
writes, and then only passed on. A call costs no task and no timer: it is told by a callback, and deadlines lie in a wheel.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence

import attrs
import trio

from swarmtui.objects.codec import MalformedObject, encode
from swarmtui.objects.operations import Result, Transaction, Verdict
from swarmtui.objects.transactions import Buffer, Bundle, encode_entry
from swarmtui.raft.effects import Accepted, Refused
from swarmtui.raft.entries import EntryKind
from swarmtui.raft.inputs import Input, Proposed
from swarmtui.store.batching import Batcher
from swarmtui.store.validation import examine, examine_all
from swarmtui.wire.node_calls import Fate, Outcome
from swarmtui.wire.rules import LOST, OVERWRITTEN

ENTRY_DATA_BYTES_MAX = 1024 * 1024  # of transactions put into one entry; a larger one has an entry of its own
WAITING_MAX = 20_000  # transactions waiting for their result; more are refused
ROUND_ENOUGH = (
    32  # transactions: what a round costs whatever it carries is little beside what so many cost by themselves
)
NO_TRANSACTION = encode(None)  # in the place of one that no bytes can hold
SPOKE_S = 0.1  # of the wheel: a call may wait so much longer than it wished

Decided = Callable[[tuple[Outcome, ...]], None]


@attrs.define(eq=False)
class _Asked:
    """One call. Told once, when the last of its transactions is decided. The first answer of each holds."""

    outcomes: list[Outcome | None]
    undecided: int
    timeout_s: float
    spoke: int
    decided: Decided


@attrs.define(eq=False)
class _Share:
    """Of the transactions of one call those that stand side by side in one entry: `count` of them from `first` on, as the
    call counts them, encoded in `pieces` until they are handed over. They are decided together."""

    asked: _Asked
    first: int
    count: int = 0
    pieces: list[Buffer] = attrs.field(factory=list)


_Appended = tuple[int, list[_Share]]
"""The term in which an entry was appended, and who waits for it."""


@attrs.define(eq=False)
class _Filling:
    """An entry that is being filled, and who waits for its transactions."""

    shares: list[_Share] = attrs.field(factory=list)
    batcher: Batcher = attrs.field(factory=lambda: Batcher(ENTRY_DATA_BYTES_MAX))

    @property
    def count(self) -> int:
        """Transactions in it."""
        return sum([share.count for share in self.shares])

    def close(self, time: float) -> bytes:
        """The data of the entry: from here on the log alone holds what is in it."""
        data = encode_entry(self.count, [piece for share in self.shares for piece in share.pieces], time)
        for share in self.shares:
            share.pieces = []
        return data


class Proposals:
    """Feeds the core with `Proposed`, keeps who waits by (index, term), settles them as entries are applied."""

    def __init__(self, feed: Callable[[Input], None], ring: Callable[[], None]) -> None:
        self._feed = feed
        self._ring = ring
        self._pending: dict[int, list[_Filling]] = {}  # by the term they are meant for
        self._asked: dict[int, list[_Filling]] = {}  # by ticket: entries not yet accepted
        self._waiting: dict[int, _Appended] = {}  # by index: appended, not yet applied
        self._displaced: dict[int, list[_Appended]] = {}  # where this node, leading again, has appended since
        self._wheel: dict[int, dict[_Asked, None]] = {}  # calls by the spoke of their deadline
        self._ticket = 0
        self._count = 0
        self._waiting_for_none = trio.lowlevel.ParkingLot()
        self.deadline = math.inf
        """When `expire` has something to do, by trio's clock; it may be earlier, never later."""
        self.closed = ""  # why nothing is taken any more (a full disk), "" while it is

    @property
    def count(self) -> int:
        """Transactions that wait for an answer."""
        return self._count

    @property
    def calls(self) -> int:
        """Calls that wait for an answer."""
        return sum(map(len, self._wheel.values()))

    @property
    def has_pending(self) -> bool:
        """Something waits to be handed to the core."""
        return bool(self._pending)

    @property
    def fill_a_round(self) -> bool:
        """As many transactions wait to be handed to the core as are on their way, or enough to share the cost of a round."""
        pending = sum([entry.count for fillings in self._pending.values() for entry in fillings])
        return pending >= min(ROUND_ENOUGH, self._count - pending)

    async def all_answered(self) -> None:
        """Wait until no transaction waits for an answer."""
        while self._count:
            await self._waiting_for_none.park()

    # ------------------------------------------------------------------------------------------------------ asking

    async def submit(self, transactions: Sequence[Transaction], term: int, timeout_s: float) -> tuple[Outcome, ...]:
        """Propose in exactly `term` and wait for the outcome of each. Never raises but Cancelled."""
        return await self.submit_encoded(Bundle.of(list(map(_encoded, transactions))), term, timeout_s)

    async def submit_encoded(self, bundle: Bundle, term: int, timeout_s: float) -> tuple[Outcome, ...]:
        """The same of transactions that are bytes already."""
        told = trio.Event()
        outcomes: tuple[Outcome, ...] = ()

        def decided(found: tuple[Outcome, ...]) -> None:
            nonlocal outcomes
            outcomes = found
            told.set()

        self.begin(bundle, term, timeout_s, decided)
        await told.wait()
        return outcomes

    def begin(self, bundle: Bundle, term: int, timeout_s: float, decided: Decided) -> None:
        """Propose these transactions in exactly `term`; `decided` is called once with the outcome of each, perhaps before
        this returns."""
        count = bundle.count
        if not count:
            decided(())
            return
        spoke = math.ceil((trio.current_time() + timeout_s) / SPOKE_S)
        asked = _Asked([None] * count, count, timeout_s, spoke, decided)
        self._wheel.setdefault(spoke, {})[asked] = None
        self.deadline = min(self.deadline, spoke * SPOKE_S)
        self._count += count
        if self.closed:
            self._settle_all(asked, Outcome(Fate.REFUSED, rule="disk", reason=self.closed))
        elif self._count > WAITING_MAX:
            reason = f"{WAITING_MAX} writes are waiting already; try again later"
            self._settle_all(asked, Outcome(Fate.REFUSED, rule="overload", reason=reason))
        else:
            self._fill(asked, bundle, self._pending.setdefault(term, [_Filling()]))
        self._ring()

    def _fill(self, asked: _Asked, bundle: Bundle, entries: list[_Filling]) -> None:
        """Put all of a call into an entry that may hold it, or each of it, or refuse it."""
        entry = entries[-1]
        written_by_all = examine_all(bundle)
        if written_by_all is not None and entry.batcher.add_all(bundle.count, len(bundle.array), written_by_all):
            entry.shares.append(_Share(asked, 0, bundle.count, [bundle.elements]))
            return
        try:
            transactions = bundle.parts()
        except MalformedObject as error:
            self._settle_all(asked, Outcome(Fate.REFUSED, rule="invalid", reason=str(error)))
            return
        share: _Share | None = None
        for place, transaction in enumerate(transactions):
            fault, written = examine(transaction)
            if fault is not None:
                self._settle(_Share(asked, place, 1), Outcome(Fate.REFUSED, rule="invalid", reason=fault))
                share = None
                continue
            if not entry.batcher.add(len(transaction), written):
                entry = _Filling()
                entry.batcher.add(len(transaction), written)
                entries.append(entry)
                share = None
            if share is None:
                share = _Share(asked, place)
                entry.shares.append(share)
            share.pieces.append(transaction)
            share.count += 1

    def flush(self) -> None:
        """Hand everything pending to the core. Called before a drain."""
        pending, self._pending = self._pending, {}
        now = time.time()
        for term, fillings in pending.items():
            entries = [entry for entry in fillings if entry.shares]
            if not entries:
                continue
            payloads = tuple([entry.close(now) for entry in entries])
            self._ticket += 1
            self._asked[self._ticket] = entries
            self._feed(Proposed(self._ticket, term, payloads, EntryKind.TRANSACTIONS))

    # ---------------------------------------------------------------------------------------------------- answering

    def accepted(self, effect: Accepted) -> None:
        for index, entry in enumerate(self._asked.pop(effect.ticket, []), effect.first_index):
            before = self._waiting.get(index)
            if before is not None:
                self._displaced.setdefault(index, []).append(before)
            self._waiting[index] = (effect.term, entry.shares)

    def refused(self, effect: Refused) -> None:
        outcome = Outcome(Fate.REFUSED, rule=effect.rule, reason=effect.reason)
        for entry in self._asked.pop(effect.ticket, []):
            self._settle_each(entry.shares, outcome)

    def applied(self, index: int, term: int, results: Sequence[Result]) -> None:
        """The entry (index, term) was applied with these results."""
        found = self._waiting.pop(index, None)
        if found is None:
            return
        self._judge(found, index, term, results)
        if self._displaced:
            for earlier in self._displaced.pop(index, ()):
                self._judge(earlier, index, term, results)

    def _judge(self, appended: _Appended, index: int, term: int, results: Sequence[Result]) -> None:
        asked_term, shares = appended
        if asked_term != term or len(results) != sum([share.count for share in shares]):
            reason = f"the entry {index} of term {asked_term} was overwritten by one of term {term}"
            lost = Outcome(Fate.REFUSED, rule=OVERWRITTEN, reason=f"{reason}: the leader had lost its quorum")
            self._settle_each(shares, lost)
            return
        outcomes = _outcomes_of(results)
        begin = 0
        for share in shares:
            end = begin + share.count
            self._decide(share, outcomes[begin:end])
            begin = end

    def passed_over(self, index: int) -> None:
        """A snapshot replaced the state up to `index`: what became of those writes cannot be told here."""
        reason = "a snapshot took the place of its entry; read it again before you repeat it"
        outcome = Outcome(Fate.UNKNOWN, rule="snapshot", reason=reason)
        for waiting_index in [waiting for waiting in self._waiting if waiting <= index]:
            for _, shares in (self._waiting.pop(waiting_index), *self._displaced.pop(waiting_index, ())):
                self._settle_each(shares, outcome)

    def expire(self, now: float) -> None:
        """Answer the calls whose time is over."""
        if now < self.deadline:
            return
        for spoke in [spoke for spoke in self._wheel if spoke * SPOKE_S <= now]:
            for asked in self._wheel.pop(spoke):
                self._expire(asked)
        self.deadline = min(self._wheel, default=math.inf) * SPOKE_S

    def abandon(self, why: str) -> None:
        """Answer every call now: nothing more will be heard of the log here."""
        reason = f"appended but not known to be committed, and {why}; read it again before you repeat it"
        for asked in [asked for spoke in self._wheel.values() for asked in spoke]:
            self._withdraw(asked)
            self._settle_all(asked, Outcome(Fate.UNKNOWN, rule=LOST, reason=reason))

    def _expire(self, asked: _Asked) -> None:
        self._withdraw(asked)
        reason = (
            f"appended but not known to be committed after {asked.timeout_s:g} s; read it again before you repeat it"
        )
        self._settle_all(asked, Outcome(Fate.UNKNOWN, rule="timeout", reason=reason))

    def _withdraw(self, asked: _Asked) -> None:
        """What never reached the core is certainly not appended."""
        outcome = Outcome(Fate.REFUSED, rule="timeout", reason="the leader was too busy to take it in time")
        for fillings in self._pending.values():
            for entry in fillings:
                withdrawn = [share for share in entry.shares if share.asked is asked]
                entry.shares = [share for share in entry.shares if share.asked is not asked]
                for share in withdrawn:
                    self._settle(share, outcome)

    def _settle_all(self, asked: _Asked, outcome: Outcome) -> None:
        """The same for all that is not decided yet of this call."""
        if asked.undecided:
            asked.outcomes = [outcome if known is None else known for known in asked.outcomes]
            self._tell_when_decided(asked, asked.undecided)

    def _settle_each(self, shares: Sequence[_Share], outcome: Outcome) -> None:
        for share in shares:
            self._settle(share, outcome)

    def _settle(self, share: _Share, outcome: Outcome) -> None:
        self._decide(share, [outcome] * share.count)

    def _decide(self, share: _Share, outcomes: Sequence[Outcome]) -> None:
        """A share is decided once, unless its call was told everything before that."""
        asked = share.asked
        if asked.undecided:
            asked.outcomes[share.first : share.first + share.count] = outcomes
            self._tell_when_decided(asked, share.count)

    def _tell_when_decided(self, asked: _Asked, newly: int) -> None:
        asked.undecided -= newly
        if not asked.undecided:
            self._count -= len(asked.outcomes)
            if not self._count:
                self._waiting_for_none.unpark_all()
            self._forget(asked)
            asked.decided(tuple(asked.outcomes))  # type: ignore[arg-type]

    def _forget(self, asked: _Asked) -> None:
        spoke = self._wheel.get(asked.spoke)
        if spoke is not None:  # None: it is being expired
            del spoke[asked]
            if not spoke:
                del self._wheel[asked.spoke]


def _encoded(transaction: Transaction) -> bytes:
    """Of one that no bytes can hold what is no transaction."""
    try:
        return encode(transaction)
    except MalformedObject:
        return NO_TRANSACTION


def _outcomes_of(results: Sequence[Result]) -> list[Outcome]:
    """Those of one entry: mostly there is the same to say of all."""
    first = results[0]
    if results.count(first) == len(results):
        return [outcome_of(first)] * len(results)
    return [outcome_of(result) for result in results]


def outcome_of(result: Result) -> Outcome:
    """The store's verdict as the outcome of the request."""
    if result.verdict is Verdict.DONE:
        return Outcome(Fate.DONE, result)
    return Outcome(Fate.REFUSED, result, rule=str(result.verdict), reason=result.text)

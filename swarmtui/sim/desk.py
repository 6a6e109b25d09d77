"""Where one simulated node serves clients: what waits there for the log, and what each is told in the end.

The rules are those of the nodes' own waiting rooms (swarmtui.node.proposals, reads and writes): a write is settled when its
index is applied, by its term; what another leader overwrote is refused; what a snapshot passed over, or a deadline, is
unknown. Nothing that waits here outlives a crash.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import attrs

from swarmtui.objects import codec
from swarmtui.objects.operations import Result, Transaction
from swarmtui.objects.transactions import encode_transactions
from swarmtui.raft.changes import Change
from swarmtui.raft.effects import Accepted, ReadReady, ReadRefused, Refused
from swarmtui.raft.entries import Entry
from swarmtui.raft.inputs import MembersAsked, Proposed, ReadAsked
from swarmtui.store.batching import split
from swarmtui.wire.rules import OVERWRITTEN

if TYPE_CHECKING:
    from swarmtui.sim.node import SimulatedNode

ENTRY_BYTES_MAX = 300  # of transactions in one entry; small, so that some share one and some do not
SERVED_LATE_S = 0.002  # a read may be served this long after it was allowed to be

Answer = Callable[[Result | str], None]
"""Told the result, or why it was refused: certainly nothing was done. Never told anything: unknown."""


@attrs.define(eq=False)
class Request:
    transaction: Transaction
    encoded: bytes
    answer: Answer


@attrs.frozen
class Appended:
    """What waits for one index: these requests, if the entry applied there is of this term."""

    term: int
    requests: tuple[Request, ...]


class Desk:
    """`tickets` of reads: what had been acknowledged when they were asked, and what to do when they may be served."""

    def __init__(self, node: SimulatedNode) -> None:
        self.node = node
        self.pending: dict[int, list[Request]] = {}  # by the term they are meant for
        self.asked: dict[int, list[tuple[Request, ...]]] = {}  # by ticket: one for each entry
        self.appended: dict[int, list[Appended]] = {}  # by index; several if this node led, and leads again
        self.tickets: dict[int, tuple[int, Callable[[str], None]]] = {}
        self.wished: dict[int, Callable[[Refused | None], None]] = {}  # changes of the members, by ticket
        self.next_ticket = 1

    def close(self) -> None:
        """The node lost its memory: nobody here is ever told anything."""
        self.pending.clear()
        self.asked.clear()
        self.appended.clear()
        self.tickets.clear()
        self.wished.clear()

    def new_ticket(self) -> int:
        self.next_ticket += 1
        return self.next_ticket

    # ---- writes ----

    def propose(self, payloads: tuple[bytes, ...]) -> None:
        """Data that nobody waits for."""
        core = self.node.core
        if core is not None:
            ticket = self.new_ticket()
            self.asked[ticket] = [() for _ in payloads]
            self.node.feed(Proposed(ticket, core.term, payloads))

    def write(self, transaction: Transaction, answer: Answer, term: int | None = None) -> None:
        """To a node that leads (in this term); it travels with whatever else waits when the core is next drained."""
        core = self.node.core
        if core is not None:
            self.pending.setdefault(term or core.term, []).append(
                Request(transaction, codec.encode(transaction), answer)
            )
            self.node.pump_soon()

    def flush(self) -> None:
        """Hand everything pending to the core."""
        if not self.pending:
            return
        pending, self.pending = self.pending, {}
        wall = self.node.clock.time * self.node.cluster.parameters.wall_speed
        for term, requests in pending.items():
            entries: list[tuple[Request, ...]] = []
            position = 0
            for group in split([(one.encoded, one.transaction) for one in requests], ENTRY_BYTES_MAX):
                entries.append(tuple(requests[position : position + len(group)]))
                position += len(group)
            payloads = tuple(encode_transactions([one.encoded for one in entry], wall) for entry in entries)
            ticket = self.new_ticket()
            self.asked[ticket] = entries
            self.node.take(Proposed(ticket, term, payloads))

    def accepted(self, effect: Accepted) -> None:
        if effect.ticket in self.wished:
            self.wished.pop(effect.ticket)(None)
        for offset, requests in enumerate(self.asked.pop(effect.ticket, [])):
            index = effect.first_index + offset
            self.appended.setdefault(index, []).append(Appended(effect.term, requests))

    def refused(self, effect: Refused) -> None:
        if effect.ticket in self.wished:
            self.wished.pop(effect.ticket)(effect)
        for requests in self.asked.pop(effect.ticket, []):
            for request in requests:
                request.answer(effect.rule)

    def applied(self, entry: Entry, results: Sequence[Result]) -> None:
        for appended in self.appended.pop(entry.index, ()):
            if appended.term != entry.term:
                for request in appended.requests:
                    request.answer(OVERWRITTEN)
                continue
            self.node.cluster.observer.acknowledges(self.node, entry.index, entry.term)
            self.node.cluster.counts["writes"] += 1
            for request, result in zip(appended.requests, results, strict=False):
                request.answer(result)

    def passed_over(self, index: int) -> None:
        """A snapshot took the place of everything up to here."""
        self.appended = {waiting: appended for waiting, appended in self.appended.items() if waiting > index}

    # ---- changes of the members ----

    def change(self, changes: tuple[Change, ...], then: Callable[[Refused | None], None]) -> None:
        """In the term of now; `then` hears whether it was begun."""
        if self.node.core is not None:
            ticket = self.new_ticket()
            self.wished[ticket] = then
            self.node.feed(MembersAsked(ticket, self.node.core.term, changes))

    # ---- reads ----

    def read(self, then: Callable[[str], None]) -> None:
        """`then` is called with "" when the local state may be read, else with why not. A paused node only sees it when it
        wakes."""
        if self.node.core is not None:
            ticket = self.new_ticket()
            self.tickets[ticket] = (self.node.cluster.observer.acknowledged, then)
            self.node.feed(ReadAsked(ticket))

    def ready(self, effect: ReadReady) -> None:
        cluster = self.node.cluster
        floor, then = self.tickets.pop(effect.ticket)
        cluster.observer.reads(self.node, floor, effect.index)
        cluster.counts["reads"] += 1
        cluster.after(cluster.rng.uniform(0, SERVED_LATE_S), self._serve, self.node.life, then)

    def _serve(self, life: int, then: Callable[[str], None]) -> None:
        if self.node.life == life:
            then("")

    def read_refused(self, effect: ReadRefused) -> None:
        _, then = self.tickets.pop(effect.ticket)
        self.node.cluster.counts["reads refused"] += 1
        then(effect.reason)

"""What the role manager needs of the consensus: who sits in it, and a way to ask for a change.

Protocols and plain data only; `node` implements them on raft, tests on a table. A *seat* is a membership: what a node has
in the consensus while it is a manager, under an id of its own (`objects.membership`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import attrs

from swarmtui.objects.membership import node_of


@attrs.frozen
class Seat:
    """One member. `votes`: its vote counts; else it is a learner that is being caught up, or waits to be."""

    id: str
    name: str
    address: str
    votes: bool = True

    @property
    def node_id(self) -> str:
        return node_of(self.id)


@attrs.frozen
class Seats:
    """Who is a member. `settled`: that is committed, and no step of a larger change is under way. `removed` were members
    once and can never be again."""

    taken: tuple[Seat, ...]
    removed: frozenset[str] = frozenset()
    settled: bool = True

    def of_node(self, node_id: str) -> list[Seat]:
        return [seat for seat in self.taken if seat.node_id == node_id]


@attrs.frozen
class TakeSeat:
    """Let this member in: it receives the log first, and votes when it has caught up."""

    seat: Seat

    def __str__(self) -> str:
        return f"{self.seat.name} enters as a learner at {self.seat.address}"


@attrs.frozen
class LeaveSeat:
    """Put this member out, for ever."""

    seat: Seat

    def __str__(self) -> str:
        return f"{self.seat.name} leaves the voters" if self.seat.votes else f"{self.seat.name} leaves the learners"


@attrs.frozen
class MoveSeat:
    """Another name or address for this member."""

    seat: Seat

    def __str__(self) -> str:
        return f"{self.seat.name} is reached at {self.seat.address}"


Wish = TakeSeat | LeaveSeat | MoveSeat


@attrs.frozen
class Refusal:
    """Nothing was changed. `rule` is a short fixed name (quorum, leader-leaves, in-flight …), `reason` has the operands."""

    rule: str
    reason: str


class SeatsPort(Protocol):
    """What is decided from."""

    def seats(self) -> Seats:
        """As the leader's own log has them, committed or not."""
        ...

    def is_ready(self, node_id: str) -> bool:
        """The node speaks to this one with a manager's certificate: its manager's side is open."""
        ...


class MembershipPort(SeatsPort, Protocol):
    """And how the decisions are carried out."""

    def watch(self, ring: Callable[[], None] | None) -> None:
        """Call `ring` whenever seats or readiness may be different; None: no longer."""
        ...

    async def change(self, wish: Wish) -> Refusal | None:
        """None once the change is begun: it is in force here, and what becomes of it shows in the seats."""
        ...

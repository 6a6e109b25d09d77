"""Handing leadership over: bring the heir up to date, then let it campaign at once (dissertation 3.10)."""

from __future__ import annotations

from collections.abc import Container
from typing import TYPE_CHECKING

from swarmtui.raft.effects import Accepted, Refused
from swarmtui.raft.messages import TimeoutNow
from swarmtui.raft.reasons import Why

if TYPE_CHECKING:
    from swarmtui.raft.leader import Leader


class Transfer:
    """A leader's transfer: `target` is "" while there is none. It ends by success, by losing the lead, or at `gives_up_at`;
    until then nothing is appended."""

    def __init__(self, leader: Leader) -> None:
        self.leader = leader
        self.core = leader.core
        self.target = ""
        self.gives_up_at = 0.0
        self.asked = False

    def ask(self, ticket: int, target: str) -> None:
        """The operator's wish."""
        core = self.core
        if self.target:
            why = Why("transfer/again", heir=core.name(self.target))
        elif target == core.node_id:
            why = Why("transfer/itself", node=core.name(target))
        elif not (chosen := self.heir(target)):
            why = Why("transfer/silent", heir=core.name(target)) if target else Why("transfer/nobody")
        else:
            core.emit(Accepted(ticket, core.ballot.term, 0))
            self.begin(chosen)
            return
        core.emit(Refused(ticket, why))

    def begin(self, heir: str) -> None:
        core = self.core
        self.target, self.asked = heir, False
        self.gives_up_at = core.now + core.options.transfer_timeout_s
        core.narrate("transfer begun", target=core.name(heir))
        self.advance()

    def heir(self, target: str = "", among: Container[str] | None = None) -> str:
        """The wanted voter, or the most advanced one (of some), if it is in contact; else ""."""
        in_contact = [id for id in self.leader.heard() if id != self.core.node_id and (among is None or id in among)]
        if target:
            return target if target in in_contact else ""
        return max(in_contact, key=lambda id: (self.leader.progress[id].match, id), default="")

    def advance(self) -> None:
        """As soon as the heir has everything: now."""
        if not self.target or self.asked:
            return
        progress = self.leader.progress.get(self.target)
        if progress is not None and progress.match == self.core.log.last:
            self.asked = True
            self.tell(self.target)

    def tell(self, heir: str) -> None:
        """Campaign at once."""
        core = self.core
        core.send(TimeoutNow(cluster=core.cluster, source=core.node_id, target=heir, term=core.ballot.term))

    def tick(self) -> None:
        if self.target and self.core.now >= self.gives_up_at:
            heir, patience_ms = self.core.name(self.target), round(self.core.options.transfer_timeout_s * 1000)
            self.core.narrate("transfer given up", Why("transfer/late", heir=heir, patience_ms=patience_ms))
            self.target = ""

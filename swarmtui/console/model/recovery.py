"""What came of healing: who is back after how long, and how the cluster stands now. The banner's other story."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from swarmtui.console.model.durations import measured
from swarmtui.console.model.picture import Banner, Leadership
from swarmtui.console.model.quorum import Health, Quorum
from swarmtui.console.model.reigns import Reign
from swarmtui.console.model.services import TaskRow

SETTLES_AFTER_S = 30.0


@attrs.define
class Recovery:
    """Faults were ended at `began`. `nodes` are those that had lost their power; `subject` says what was healed.
    `voters_missing`: some voter was missing before. `back` is when each node answered again, in seconds after `began`."""

    began: float
    subject: str
    nodes: tuple[str, ...]
    had_leader: bool
    back: dict[str, float] = attrs.field(factory=dict)
    leader_after: str = ""
    term_after: int = 0
    leader_after_s: float | None = None
    whole_after_s: float | None = None
    closed: bool = False

    def answered(self, node: str, moment: float) -> None:
        """The node said something at this moment, of its own clock."""
        if node in self.nodes and moment >= self.began and not self.closed:
            self.back.setdefault(node, max(0.001, moment - self.began))

    def reigned(self, reigns: Sequence[Reign]) -> None:
        """Who led since: worth telling only if nobody did before."""
        if not self.closed and not self.had_leader and reigns:
            reign = reigns[0]
            self.leader_after, self.term_after, self.leader_after_s = reign.name, reign.term, reign.led_at - self.began

    def runs(self, tasks: Sequence[TaskRow], dead: frozenset[str]) -> None:
        """Tasks stay where they are when a node comes back."""

    def close(self, now: float) -> None:
        if now - self.began > SETTLES_AFTER_S:
            self.closed = True

    def banner(self, now: float, quorum: Quorum, leadership: Leadership) -> Banner:
        """The story so far."""
        whole = quorum.up == quorum.voters
        if whole and self.whole_after_s is None and not self.closed:
            self.whole_after_s = max(0.001, now - self.began)
        parts = [f"{self.subject} → {self._came_back()}"]
        if self.leader_after:
            parts.append(
                f"{self.leader_after} leads term {self.term_after} after {measured(self.leader_after_s or 0.0)}"
            )
        elif leadership.name:
            parts.append(f"{leadership.name} leads term {leadership.term}")
        parts.append(f"{quorum.up} of {quorum.voters} up")
        health = quorum.health
        parts.append(
            "no writes yet" if health in (Health.NO_QUORUM, Health.ELECTING) else quorum.sentence.partition(": ")[2]
        )
        ink = "good" if health in (Health.HEALTHY, Health.MAY_FAIL) else "warn"
        settled = self.closed or (len(self.back) == len(self.nodes) and quorum.held)
        return Banner(tuple(parts), settled=settled, ink=ink, since=self.began)

    def _came_back(self) -> str:
        if not self.nodes:
            return (
                f"whole after {measured(self.whole_after_s)}"
                if self.whole_after_s is not None
                else "finding one another"
            )
        waiting = [node for node in self.nodes if node not in self.back]
        if waiting:
            return f"waiting for {' '.join(waiting)}"
        return f"back after {measured(max(self.back.values()))}"

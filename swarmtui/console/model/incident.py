"""One fault and what came of it, in measured figures: the story that the banner tells.

An incident opens when something is broken (or breaks) and remembers how the cluster stood. From then on it only compares:
who leads now and since when, when the first entry of the new term was committed, which wanted tasks of the lost nodes run
elsewhere and since when. Figures come from the times that the nodes themselves put into events, marks and records, never
from when the console happened to hear of them; they are taken once and then stand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs

from swarmtui.console.model.durations import measured
from swarmtui.console.model.picture import Banner, Leadership
from swarmtui.console.model.quorum import Health, Quorum
from swarmtui.console.model.reigns import Reign
from swarmtui.console.model.services import TaskRow

SETTLES_AFTER_S = 30.0  # then no more figures are waited for
SHOWN_FOR_S = 180.0
SAME_STEP_S = 0.4  # faults closer together than this are one incident


@attrs.define
class Incident:
    """`verb` and `nodes` make the head (`n1 killed`); `lost_slots` are the slots that ran on nodes whose tasks are gone.
    Fields that end in `_after_s` are figures, None until known."""

    began: float
    verb: str
    nodes: tuple[str, ...]
    leader_before: str
    slots: dict[str, str]  # lost slot: id of the task that was lost
    loses_tasks: bool
    subject: str = ""
    leader_after_s: float | None = None
    leader_after: str = ""
    term_after: int = 0
    writes_after_s: float | None = None
    moved: dict[str, float] = attrs.field(factory=dict)
    closed: bool = False

    def answered(self, node: str, moment: float) -> None:
        """Who answers is no part of this story."""

    def reigned(self, reigns: Sequence[Reign]) -> None:
        """Who led since it began: the first who also wrote tells the story, else the last who was elected."""
        if self.closed or not reigns:
            return
        reign = next((reign for reign in reigns if reign.wrote_at is not None), reigns[-1])
        self.leader_after, self.term_after = reign.name, reign.term
        self.leader_after_s = max(0.001, reign.led_at - self.began)
        self.writes_after_s = None if reign.wrote_at is None else max(self.leader_after_s, reign.wrote_at - self.began)

    def runs(self, tasks: Sequence[TaskRow], dead: frozenset[str]) -> None:
        """Look where the slots that were lost run now."""
        if self.closed or not self.slots:
            return
        for task in tasks:
            lost = self.slots.get(task.name)
            if lost is None or task.id == lost or not task.is_running or task.node in dead:
                continue
            self.moved.setdefault(task.name, max(0.001, task.since - self.began))

    def close(self, now: float) -> None:
        if now - self.began > SETTLES_AFTER_S:
            self.closed = True

    def banner(self, now: float, quorum: Quorum, leadership: Leadership) -> Banner:
        """The story so far."""
        parts = [f"{self._head()} → {self._who_leads(now, quorum, leadership)}"]
        ink = "good"
        if (writes := self._writes(now, quorum)) is not None:
            parts.append(writes)
        if self.loses_tasks and self.slots:
            parts.append(self._tasks())
        if quorum.health is Health.NO_QUORUM:
            parts.append("running tasks go on")
        parts.append(self._outlook(quorum))
        if quorum.health in (Health.NO_QUORUM, Health.UNKNOWN):
            ink = "bad"
        elif quorum.health in (Health.ELECTING, Health.NO_SPARE):
            ink = "warn"
        waits = self._waits(quorum)
        return Banner(tuple(parts), settled=not waits, ink=ink, since=self.began)

    def _head(self) -> str:
        return f"{self.subject or ' '.join(self.nodes)} {self.verb}".strip()

    def _who_leads(self, now: float, quorum: Quorum, leadership: Leadership) -> str:
        if quorum.health is Health.NO_QUORUM:
            return f"no quorum: {quorum.up} of {quorum.voters} up, {quorum.needed} needed"
        if self.leader_after:
            return f"{self.leader_after} leads term {self.term_after} after {measured(self.leader_after_s or 0.0)}"
        if quorum.health is Health.ELECTING:
            return f"electing for {measured(now - self.began)}"
        if self.leader_before in self.nodes and not quorum.held:
            return "no leader yet"
        return f"{leadership.name} still leads term {leadership.term}" if leadership.name else "no leader"

    def _writes(self, now: float, quorum: Quorum) -> str | None:
        if quorum.health in (Health.NO_QUORUM, Health.ELECTING):
            return f"no writes for {measured(now - self.began)}"
        if self.writes_after_s is not None:
            return f"writes stopped for {measured(self.writes_after_s)}"
        if self.leader_after:
            return None
        return "writes went on"

    def _tasks(self) -> str:
        total, moved = len(self.slots), len(self.moved)
        noun = "task" if total == 1 else "tasks"
        if moved == total:
            return f"{total} {noun} moved in {measured(max(self.moved.values()))}"
        return f"{moved} of {total} {noun} moved"

    def _outlook(self, quorum: Quorum) -> str:
        if quorum.health is Health.NO_QUORUM:
            missing = quorum.needed - quorum.up
            return f"{missing} must come back"
        if quorum.health is Health.UNKNOWN:
            return "no node answers"
        left = quorum.may_fail
        if not left:
            return "none may fail now"
        return f"{left} more may fail" if quorum.up < quorum.voters else f"{left} may fail"

    def _waits(self, quorum: Quorum) -> bool:
        if self.closed:
            return False
        return (
            not quorum.held
            or bool(self.leader_after and self.writes_after_s is None)
            or len(self.moved) < len(self.slots)
        )


def lost_slots(tasks: Sequence[TaskRow], nodes: Sequence[str]) -> dict[str, str]:
    """The slots of replicated services that run on these nodes: what will have to move."""
    return {
        task.name: task.id
        for task in tasks
        if task.node in nodes and (task.lost or not task.past) and not task.name.endswith(f".{task.node}")
    }


VERBS: Mapping[str, tuple[str, bool]] = {
    "kill": ("killed", True),
    "stop": ("stopped", True),
    "pause": ("paused", True),
    "partition": ("cut off", True),
    "cut": ("cut", False),
    "link": ("slowed", False),
    "exit": ("ended by itself", True),
}
"""By kind of fault: the word for it, and whether the nodes it hits lose their tasks to others sooner or later."""

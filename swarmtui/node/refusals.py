"""What was refused, at our door or by consensus, as events: every one named, but never so many that a flood fills the ring."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
import trio

from swarmtui.node.events import Events
from swarmtui.raft.effects import Narrate, RoleChanged
from swarmtui.raft.reasons import Why
from swarmtui.wire.admission import Refusal

TOLD_PER_SECOND_MAX = 10
SAME_REASON_S = 10.0  # who is refused for one reason asks again and again


class Refusals:
    def __init__(self, events: Events) -> None:
        self._events = events
        self._second = 0
        self._told = 0
        self._untold = 0

    def tell(self, refusal: Refusal) -> None:
        second = int(trio.current_time())
        if second != self._second:
            if self._untold:
                self._events.tell("refused", f"{self._untold} more were refused", data={"rule": "flood"})
            self._second, self._told, self._untold = second, 0, 0
        if self._told >= TOLD_PER_SECOND_MAX:
            self._untold += 1
            return
        self._told += 1
        self._events.tell("refused", str(refusal), data={"rule": refusal.rule, "address": refusal.address})


def figures(why: Why | None) -> dict[str, Any]:
    """A reason in the data of an event: its rule, and the operands of that."""
    return {} if why is None else {"rule": why.rule, "operands": dict(why.operands)}


@attrs.frozen
class _Line:
    what: str
    why: Why
    untold: int

    def __str__(self) -> str:
        return f"{self.what} refused: {self.why}" + (
            f" ({self.untold} times since it was told last)" * bool(self.untold)
        )


class ConsensusRefusals:
    """Proposals, transfers, changes, reads and messages that the core refused: of each reason one event in `SAME_REASON_S`."""

    def __init__(self, events: Events) -> None:
        self._events = events
        self._told_at: dict[str, float] = {}
        self._untold: dict[str, int] = {}

    def tell(self, what: str, why: Why, term: int) -> None:
        name, now = f"{what} {why.name}", trio.current_time()
        if now < self._told_at.get(name, float("-inf")) + SAME_REASON_S:
            self._untold[name] = self._untold.get(name, 0) + 1
            return
        self._told_at[name] = now
        untold = self._untold.pop(name, 0)
        data = {"what": what, "untold": untold, **figures(why)}
        self._events.tell("refused", _Line(what, why, untold), term=term, data=data)


def data_of(effect: Narrate | RoleChanged) -> Mapping[str, Any]:
    """What the core says of itself, as the data of an event."""
    if isinstance(effect, Narrate):
        return {**effect.operands, **figures(effect.why)}
    return {"role": str(effect.role), "leader": effect.leader, "cause": effect.cause, **figures(effect.why)}

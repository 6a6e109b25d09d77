"""One line of what happened: the event that logs, the console and `swarmtui events` share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import attrs

EVENT_KINDS = (
    "election",  # timers, campaigns, votes, refusals with their operands, won, lost, stepped down: always with a cause
    "raft",  # log and snapshot milestones: compaction, snapshot sent and installed, transfer
    "node",  # registered, ready, down, unknown, availability changed
    "service",  # created, updated, removed, scaled
    "task",  # every change of state
    "lock",  # leases of holders that were not heard any more: their keys are gone
    "fault",  # what was broken on purpose and healed; actor `you`
    "refused",  # connections, input and requests that were refused, with rule and operands
    "gap",  # the machine slept, or an observer missed events
    "host",  # the power supply: node started, ended with which status
)
"""The kinds of events, each a topic one can filter by."""


@attrs.frozen
class Event:
    """Field for field what `swarmtui events --format json` prints. `seq` counts per node from its start (a hole is an
    overflow and is itself announced by a `gap` event); `text` is the whole line for people."""

    time: float
    node: str
    seq: int
    kind: str
    text: str
    term: int = 0
    index: int = 0
    object: str = ""
    data: Mapping[str, Any] = attrs.field(factory=dict)


class Narrate(Protocol):
    """How a room tells what happened: the kind of the event, the line for people, the id it is about, and figures."""

    def __call__(
        self,
        kind: str,
        text: str,
        *,
        object: str = "",  # noqa: A002  # the field's name in an event
        data: Mapping[str, Any] | None = None,
    ) -> None: ...

"""What the model folds: one class for each thing that a link may see.

`node` is always a node's name.
"""

from __future__ import annotations

import attrs

from swarmtui.objects.events import Event
from swarmtui.objects.manifest import NodeEntry
from swarmtui.wire.host_calls import HostReport
from swarmtui.wire.node_calls import LogLines, Mark, NodeReport, OutputLines, RecordsChanged


@attrs.frozen
class NodeLinked:
    """A connection to this node is open; `report` is what it says of itself."""

    node: str
    report: NodeReport


@attrs.frozen
class NodesSeen:
    """Which nodes there are, and what each is by now: nodes join, leave, and are promoted and demoted."""

    nodes: tuple[NodeEntry, ...]


@attrs.frozen
class NodeLost:
    """The connection to this node ended or could not be made. `refused`: nobody listens at its address, which is
    evidence of death; anything else is silence."""

    node: str
    reason: str
    refused: bool = False


@attrs.frozen
class MarkSeen:
    node: str
    mark: Mark


@attrs.frozen
class EventSeen:
    event: Event


@attrs.frozen
class RecordsSeen:
    """Records as one node knows them."""

    node: str
    change: RecordsChanged


@attrs.frozen
class HostSeen:
    """What the host says; None: it does not answer, `reason` says why. `final`: it never will, as this cluster is gone."""

    report: HostReport | None
    reason: str = ""
    final: bool = False


@attrs.frozen
class LogSeen:
    """The answer to a question for a range of one node's log."""

    node: str
    lines: LogLines


@attrs.frozen
class OutputSeen:
    node: str
    lines: OutputLines


Observation = NodeLinked | NodesSeen | NodeLost | MarkSeen | EventSeen | RecordsSeen | HostSeen | LogSeen | OutputSeen

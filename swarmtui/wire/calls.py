"""The whole client protocol: every call, every answer, and which certificate may make which call (`ALLOWED`).

The codec knows each by its class's name. `rights` checks the table before a server looks at a call any further. The classes
themselves are in `node_calls`, `key_calls` and `host_calls`.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping

from swarmtui.objects.events import Event
from swarmtui.wire.host_calls import (
    CutLinks,
    ForgetNode,
    GetHost,
    Heal,
    HostReport,
    MakeNode,
    MoveNode,
    PowerNode,
    SetLink,
    ShutDown,
    Undo,
)
from swarmtui.wire.key_calls import Attest, Attestation, GetKeys, KeyRows
from swarmtui.wire.node_calls import (
    Done,
    GetKey,
    GetStatus,
    ListRecords,
    LogLines,
    LogRange,
    Mark,
    MayLeave,
    NodeReport,
    Observe,
    OutputLines,
    Propose,
    Proposed,
    ReadRole,
    Records,
    RecordsChanged,
    SetLinkFaults,
    SignalTask,
    StatePiece,
    StopNode,
    StreamState,
    TakeSnapshot,
    TaskOutput,
    TransferLeadership,
    WatchRecords,
)

PROTOCOL_VERSION = 3


class Peerage(enum.StrEnum):
    """The role a certificate was issued for (its OU)."""

    MANAGER = "manager"
    WORKER = "worker"
    ADMIN = "admin"
    OBSERVER = "observer"
    HOST = "host"
    TASK = "task"  # whatever runs as a task of a node


Call = (
    GetStatus
    | Propose
    | ListRecords
    | GetKey
    | GetKeys
    | Attest
    | LogRange
    | Observe
    | WatchRecords
    | TaskOutput
    | SignalTask
    | TransferLeadership
    | TakeSnapshot
    | MayLeave
    | ReadRole
    | StreamState
    | SetLinkFaults
    | StopNode
    | GetHost
    | PowerNode
    | MakeNode
    | ForgetNode
    | MoveNode
    | CutLinks
    | SetLink
    | Heal
    | Undo
    | ShutDown
)
Answer = (
    NodeReport
    | Proposed
    | Records
    | KeyRows
    | Attestation
    | LogLines
    | Mark
    | Event
    | RecordsChanged
    | OutputLines
    | StatePiece
    | Done
    | HostReport
)

_READ: tuple[type, ...] = (GetStatus, ListRecords, GetKey, GetKeys, Attest, LogRange, Observe, WatchRecords, TaskOutput)
ALLOWED: Mapping[Peerage, tuple[type, ...]] = {
    Peerage.ADMIN: (
        *_READ,
        Propose,
        SignalTask,
        TransferLeadership,
        TakeSnapshot,
        MayLeave,
        StreamState,
        SetLinkFaults,
        StopNode,
        GetHost,
        PowerNode,
        MakeNode,
        ForgetNode,
        MoveNode,
        CutLinks,
        SetLink,
        Heal,
        Undo,
        ShutDown,
    ),
    Peerage.OBSERVER: (*_READ, GetHost),
    Peerage.HOST: (*_READ, SetLinkFaults, StopNode, Propose, ReadRole),
    Peerage.MANAGER: (Propose, ListRecords, GetKey, GetKeys, Attest),
    Peerage.WORKER: (),
    Peerage.TASK: (GetStatus, GetKey, GetKeys, Attest, ListRecords, WatchRecords, Propose),
}
"""Which call a certificate of each role may make. Managers may: they forward, once. A worker may not: it speaks through
its agent session only. What a task may say in its calls is looked at as well (`rights`)."""

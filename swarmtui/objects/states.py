"""States and their order.

Docker's numbers are kept (gaps of 64) because the *order* is the contract: a task's observed state and its desired state
only ever rise. The store's `advance` operation relies on nothing else, which is why status reports and decisions never
conflict with one another.
"""

from __future__ import annotations

import enum


class TaskState(enum.IntEnum):
    """How far a task has come (observed), or how far it shall go (desired). Source: swarmkit api/types.proto.

    Managers own a task below ASSIGNED and above RUNNING, the agent of its node in between.
    """

    NEW = 0
    PENDING = 64
    ASSIGNED = 192
    ACCEPTED = 256
    PREPARING = 320
    READY = 384
    STARTING = 448
    RUNNING = 512
    COMPLETE = 576
    SHUTDOWN = 640
    FAILED = 704
    REJECTED = 768
    REMOVE = 800  # desired only: delete the task once it has stopped
    ORPHANED = 832

    @property
    def is_terminal(self) -> bool:
        """True when the task can never run again."""
        return self > TaskState.RUNNING

    @property
    def word(self) -> str:
        """The word people read: `Running`."""
        return self.name.capitalize()


class NodeState(enum.StrEnum):
    """What the managers believe of a node, as stored. UNKNOWN is silence, never death."""

    UNKNOWN = "unknown"
    DOWN = "down"
    READY = "ready"
    DISCONNECTED = "disconnected"


class Availability(enum.StrEnum):
    """What an operator allows to be scheduled on a node."""

    ACTIVE = "active"
    PAUSE = "pause"
    DRAIN = "drain"


class NodeRole(enum.StrEnum):
    """Whether a node is a member of the consensus."""

    MANAGER = "manager"
    WORKER = "worker"


class RestartCondition(enum.StrEnum):
    """After which ends a task is replaced."""

    NONE = "none"
    ON_FAILURE = "on-failure"
    ANY = "any"


class UpdateOrder(enum.StrEnum):
    """Whether the old task of a slot stops before the new one starts."""

    STOP_FIRST = "stop-first"
    START_FIRST = "start-first"


class UpdateState(enum.StrEnum):
    """How far a service's rolling update has come, or the rollback of one. Docker's words."""

    UPDATING = "updating"
    PAUSED = "paused"
    COMPLETED = "completed"
    ROLLBACK_STARTED = "rollback_started"
    ROLLBACK_PAUSED = "rollback_paused"
    ROLLBACK_COMPLETED = "rollback_completed"

    @property
    def is_under_way(self) -> bool:
        return self in (UpdateState.UPDATING, UpdateState.ROLLBACK_STARTED)

    @property
    def is_paused(self) -> bool:
        """True when nothing more comes until the service is changed."""
        return self in (UpdateState.PAUSED, UpdateState.ROLLBACK_PAUSED)

    @property
    def is_rollback(self) -> bool:
        return self in (UpdateState.ROLLBACK_STARTED, UpdateState.ROLLBACK_PAUSED, UpdateState.ROLLBACK_COMPLETED)


class FailureAction(enum.StrEnum):
    """What an update does when its tasks fail."""

    PAUSE = "pause"
    CONTINUE = "continue"
    ROLLBACK = "rollback"

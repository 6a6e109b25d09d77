"""Where the managers listen, from all who say so: the host at the start, the leader's orders, and on a manager the log.

The log is right in the long run; what the host handed over is newer where a node moved while nobody led, and holds for a
node until the log has another address for it than when we started.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from swarmtui.objects.dispatch import Assignment


class Members(Protocol):
    """What a manager's side knows."""

    @property
    def is_member(self) -> bool: ...
    def addresses(self) -> dict[str, str]: ...


class Acquaintances:
    """Addresses of managers by node id."""

    def __init__(self, handed_over: Mapping[str, str]) -> None:
        self._told: dict[str, str] = dict(handed_over)
        self._told_at = (0, 0)
        self._handed = dict(handed_over)
        self._logged: dict[str, str] = {}

    def told(self, order: Assignment) -> bool:
        """The leader names the managers; True if they are others than before. An older leader's word counts no more."""
        at = (order.term, order.index)
        if not order.managers or at < self._told_at:
            return False
        before, self._told, self._told_at = self._told, dict(order.managers), at
        return before != self._told

    def doors(self, side: Members | None) -> dict[str, str]:
        """Whom to dial. A member dials the members; anybody else every manager that it has heard of."""
        if side is None:
            return dict(self._told)
        logged = side.addresses()
        for node_id, address in logged.items():
            if self._logged.get(node_id, address) != address:
                self._handed.pop(node_id, None)
        self._logged = logged
        members = {**logged, **{id: address for id, address in self._handed.items() if id in logged}}
        return members if side.is_member else {**self._told, **members}

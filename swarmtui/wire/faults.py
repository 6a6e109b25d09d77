"""Links broken on purpose: what this node does to frames and dials from and to the nodes that the table names.

A cut is silence: frames vanish, dials hang, and nothing that happens to the connection meanwhile is noticed, for an
end-of-file would be news that a broken link does not carry. Both ends of a link hold the fault, each enforces it and its
time limit by itself. Keyed by the certified node id; admin, observer and host are never in the way of a fault, or nobody
could heal it.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Iterable

import trio

from swarmtui.wire.certificates import Identity
from swarmtui.wire.node_calls import DELAY_MS_MAX, LinkFault

FAULTS_MAX = 1000  # links of one node


class LinkFaults:
    """The faults of one node's links. `wall` is the clock of `until`, `draw` gives numbers in [0, 1)."""

    def __init__(
        self,
        faults: Iterable[LinkFault] = (),
        *,
        wall: Callable[[], float] = time.time,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._wall = wall
        self._draw = draw
        self._faults: dict[str, LinkFault] = {}
        self._changed = trio.Event()
        self.set(faults)

    def set(self, faults: Iterable[LinkFault]) -> None:
        """All faults from now on; what was set before is gone. Raises ValueError for numbers that cannot be."""
        table = {fault.peer_id: _checked(fault) for fault in faults}
        if len(table) > FAULTS_MAX:
            raise ValueError(f"{len(table)} link faults, at most {FAULTS_MAX}")
        self._faults = table
        self._changed.set()
        self._changed = trio.Event()

    def current(self) -> tuple[LinkFault, ...]:
        """Those in force now."""
        return tuple(fault for peer_id in list(self._faults) if (fault := self.fault(peer_id)) is not None)

    def fault(self, peer_id: str) -> LinkFault | None:
        """What is in force between this node and that one; its time limit is enforced here."""
        fault = self._faults.get(peer_id)
        if fault is not None and fault.until is not None and self._wall() >= fault.until:
            del self._faults[peer_id]
            return None
        return fault

    def of(self, peer: Identity) -> LinkFault | None:
        """The same by certificate: none for admin, observer and host."""
        return self.fault(peer.node_id) if self._faults and peer.is_on_node else None

    def delay_s(self, fault: LinkFault) -> float | None:
        """How long a frame to that peer is held back: seconds, or None if it is lost."""
        if fault.cut_out or (fault.loss and self._draw() < fault.loss):
            return None
        if not (fault.delay_ms or fault.jitter_ms):
            return 0.0
        return max(0.0, fault.delay_ms + fault.jitter_ms * (2 * self._draw() - 1)) / 1000

    def hears(self, peer_id: str) -> bool:
        """False while nothing of that node may be noticed here."""
        fault = self.fault(peer_id)
        return fault is None or not fault.cut_in

    def reaches(self, peer_id: str) -> bool:
        """False while a connection to or from that node cannot begin: it needs both directions."""
        fault = self.fault(peer_id)
        return fault is None or not (fault.cut_in or fault.cut_out)

    async def wait_hears(self, peer_id: str) -> None:
        await self._wait(peer_id, self.hears)

    async def wait_reaches(self, peer_id: str) -> None:
        await self._wait(peer_id, self.reaches)

    async def _wait(self, peer_id: str, is_open: Callable[[str], bool]) -> None:
        while not is_open(peer_id):
            until = self._faults[peer_id].until
            with trio.move_on_after(math.inf if until is None else max(0.0, until - self._wall()) + 0.001):
                await self._changed.wait()


def _checked(fault: LinkFault) -> LinkFault:
    if not (0 <= fault.loss <= 1):
        raise ValueError(f"loss {fault.loss:g} is not between 0 and 1")
    if not (0 <= fault.delay_ms <= DELAY_MS_MAX and 0 <= fault.jitter_ms <= DELAY_MS_MAX):
        raise ValueError(
            f"delay {fault.delay_ms:g} ms with jitter {fault.jitter_ms:g} ms: at most {DELAY_MS_MAX:g} ms each"
        )
    return fault

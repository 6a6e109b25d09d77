"""The table of faults: what was broken on purpose and is still in force, as plain data.

    order (kill, pause, stop, partition, cut, link) --> one Fault on top of a stack --> undo takes the last off,
    heal takes off those of some nodes or all, time takes off those whose limit has come

A fault of the power (kill, pause, stop) names one node. A fault of links holds, for each node, what that node has to
enforce; both ends of a cut enforce it, a delay or a loss is the sender's. What is in force between two nodes is the sum:
cut if any fault cuts, and the delay, jitter and loss of the latest fault that sets them.

Pure: every method returns a new table. Times come from the caller, in seconds since the epoch.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence

import attrs

from swarmtui.wire.host_calls import FaultReport
from swarmtui.wire.node_calls import DELAY_MS_MAX, LinkFault

FAULTS_MAX = 1000  # in force at once, of all kinds


class InvalidFault(Exception):
    """A fault that cannot be ordered: one sentence saying why. The caller's doing."""


class FaultKind(enum.StrEnum):
    KILL = "kill"
    PAUSE = "pause"
    STOP = "stop"
    PARTITION = "partition"
    CUT = "cut"
    LINK = "link"

    @property
    def is_power(self) -> bool:
        return self in (FaultKind.KILL, FaultKind.PAUSE, FaultKind.STOP)


@attrs.frozen
class Wire:
    """What one node (`source`) has to do to frames to and from another (`target`); both are node names."""

    source: str
    target: str
    cut_out: bool = False
    cut_in: bool = False
    delay_ms: float = 0.0
    jitter_ms: float = 0.0
    loss: float = 0.0

    @property
    def shapes(self) -> bool:
        return bool(self.delay_ms or self.jitter_ms or self.loss)


@attrs.frozen
class Fault:
    id: int
    kind: FaultKind
    text: str
    since: float
    limit_s: float | None
    nodes: tuple[str, ...]
    wires: tuple[Wire, ...] = ()
    groups: tuple[
        tuple[str, ...], ...
    ] = ()  # of a partition, as far as they are not healed; the last is everybody else

    @property
    def until(self) -> float | None:
        return None if self.limit_s is None else self.since + self.limit_s

    def without(self, healed: Iterable[str]) -> Fault | None:
        """This fault once these nodes are healed; None if nothing is left of it."""
        gone = set(healed)
        if not gone & set(self.nodes):
            return self
        wires = tuple(wire for wire in self.wires if not gone & {wire.source, wire.target})
        if not wires:
            return None
        involved = {name for wire in wires for name in (wire.source, wire.target)}
        nodes = tuple(name for name in self.nodes if name in involved)
        groups = tuple(tuple(name for name in group if name not in gone) for group in self.groups)
        text = f"{self.text}, healed: {' '.join(sorted(gone))}"
        return attrs.evolve(self, wires=wires, nodes=nodes, groups=groups, text=text)

    def joined_by(self, name: str) -> Fault:
        """This fault once there is a new node: it is on the side of a partition where everybody is who was not named."""
        if not self.groups or not self.groups[-1]:
            return self
        *others, rest = self.groups
        far = [other for group in others for other in group]
        groups = (*others, (*rest, name))
        sides, healed, names = self.text.partition(", healed")
        wires = (*self.wires, *(wire for other in far for wire in _cut_off(name, other)))
        text = f"{sides} {name}{healed}{names}"
        return attrs.evolve(self, nodes=(*self.nodes, name), wires=wires, groups=groups, text=text)


@attrs.frozen
class FaultTable:
    """`nodes`: the names of all nodes, in the cluster's order. `faults`: the stack, the latest last."""

    nodes: tuple[str, ...]
    faults: tuple[Fault, ...] = ()
    next_id: int = 1

    # ------------------------------------------------------------------------------------------------------- orders

    def power(self, kind: FaultKind, node: str, now: float, for_s: float | None = None) -> FaultTable:
        """The node was killed, paused or stopped. It replaces what had been done to its power before; the same again
        only sets a new limit."""
        self._known(node)
        _check_limit(for_s)
        same = next((fault for fault in self.faults if fault.kind is kind and node in fault.nodes), None)
        if same is not None:
            if for_s is None:
                return self
            again = attrs.evolve(same, since=now, limit_s=for_s)
            return attrs.evolve(self, faults=tuple(again if fault is same else fault for fault in self.faults))
        return self.restored(node)._with(kind, f"{kind} {node}", now, for_s, (node,))

    def restored(self, node: str) -> FaultTable:
        """The node has its power again, by whatever order."""
        return attrs.evolve(self, faults=tuple(f for f in self.faults if not (f.kind.is_power and node in f.nodes)))

    def partition(self, groups: Sequence[Sequence[str]], now: float, for_s: float | None = None) -> FaultTable:
        """Nothing passes between the groups. Nodes not named belong to the last group; with one group the rest is the
        other."""
        whole = self._groups(groups)
        side = {name: number for number, group in enumerate(whole) for name in group}
        pairs = [(one, other) for one in self.nodes for other in self.nodes if side[one] < side[other]]
        wires = [wire for pair in pairs for wire in _cut_off(*pair)]
        text = "partition " + " / ".join(" ".join(group) for group in whole)
        return self._with(FaultKind.PARTITION, text, now, for_s, self.nodes, wires, whole)

    def cut(
        self, source: str, target: str, now: float, *, one_way: bool = False, for_s: float | None = None
    ) -> FaultTable:
        """Nothing passes from source to target, nor back unless `one_way`."""
        self._pair(source, target)
        wires = [
            Wire(source, target, cut_out=True, cut_in=not one_way),
            Wire(target, source, cut_out=not one_way, cut_in=True),
        ]
        text = f"cut {source} {target}" + (" --one-way" if one_way else "")
        return self._with(FaultKind.CUT, text, now, for_s, self._sorted({source, target}), wires)

    def link(
        self,
        source: str,
        target: str,
        now: float,
        *,
        one_way: bool = False,
        delay_ms: float = 0.0,
        jitter_ms: float = 0.0,
        loss: float = 0.0,
        for_s: float | None = None,
    ) -> FaultTable:
        """Frames from source to target, and back unless `one_way`, are delayed and lost."""
        self._pair(source, target)
        if not 0.0 <= loss <= 1.0:
            raise InvalidFault(f"loss is {loss:.0%}; it must be between 0% and 100%")
        for what, value in (("delay", delay_ms), ("jitter", jitter_ms)):
            if not 0.0 <= value <= DELAY_MS_MAX:
                raise InvalidFault(f"{what} is {value:g} ms; it must be between 0 and {DELAY_MS_MAX:g} ms")
        if not (delay_ms or jitter_ms or loss):
            raise InvalidFault("a link fault needs a delay, a jitter or a loss")

        def shaped(one: str, other: str) -> Wire:
            return Wire(one, other, delay_ms=delay_ms, jitter_ms=jitter_ms, loss=loss)

        wires = [shaped(source, target)] + ([] if one_way else [shaped(target, source)])
        words = [f"delay={delay_ms:g}ms"] * bool(delay_ms) + [f"jitter={jitter_ms:g}ms"] * bool(jitter_ms)
        words += [f"loss={loss * 100:g}%"] * bool(loss)
        text = f"link {source} {target}" + (" --one-way " if one_way else " ") + " ".join(words)
        return self._with(FaultKind.LINK, text, now, for_s, self._sorted({source, target}), wires)

    # ------------------------------------------------------------------------------------------------------ endings

    def undo(self) -> FaultTable:
        """Without the last fault; the same table if there is none."""
        return attrs.evolve(self, faults=self.faults[:-1])

    def heal(self, nodes: Iterable[str] = ()) -> FaultTable:
        """Without any fault, or without those of some nodes: a partition goes on between the others."""
        healed = list(nodes)
        for name in healed:
            self._known(name)
        if not healed:
            return attrs.evolve(self, faults=())
        left = (fault.without(healed) for fault in self.faults)
        return attrs.evolve(self, faults=tuple(fault for fault in left if fault is not None))

    def expire(self, now: float) -> FaultTable:
        """Without the faults whose limit has come."""
        return attrs.evolve(self, faults=tuple(f for f in self.faults if f.until is None or f.until > now))

    def powered_on(self) -> FaultTable:
        """After `up`: every node was started, the links are as they were."""
        return attrs.evolve(self, faults=tuple(fault for fault in self.faults if not fault.kind.is_power))

    def since_at_most(self, now: float) -> FaultTable:
        """Read from disk: a clock that was set back meanwhile makes no fault last longer than its limit."""
        return attrs.evolve(self, faults=tuple(attrs.evolve(f, since=min(f.since, now)) for f in self.faults))

    def with_nodes(self, names: Iterable[str]) -> FaultTable:
        """Nodes came and went: what concerned only those that went is over, and a partition holds for those that came."""
        nodes = tuple(names)
        gone = [name for name in self.nodes if name not in nodes]
        table = self.heal(gone) if gone else self
        for name in nodes:
            if name not in self.nodes:
                table = attrs.evolve(table, faults=tuple(fault.joined_by(name) for fault in table.faults))
        return attrs.evolve(table, nodes=nodes)

    # ------------------------------------------------------------------------------------------------------ reading

    @property
    def deadline(self) -> float | None:
        """When the next fault ends by itself."""
        return min((fault.until for fault in self.faults if fault.until is not None), default=None)

    def ended(self, after: FaultTable) -> list[Fault]:
        """The faults that are in this table and not in the other any more."""
        kept = {fault.id for fault in after.faults}
        return [fault for fault in self.faults if fault.id not in kept]

    def begun(self, after: FaultTable) -> list[Fault]:
        """The faults that are in the other table and not in this one."""
        return after.ended(self)

    def changed(self, after: FaultTable) -> list[Fault]:
        """The faults, as they are in the other table, that are in both and not the same."""
        own = {fault.id: fault for fault in self.faults}
        return [fault for fault in after.faults if fault.id in own and fault != own[fault.id]]

    def reports(self) -> tuple[FaultReport, ...]:
        return tuple(FaultReport(f.id, f.kind.value, f.text, f.since, f.until, f.nodes) for f in self.faults)

    def links(self, ids: Mapping[str, str]) -> dict[str, tuple[LinkFault, ...]]:
        """What each node has to enforce, by node id, for every node. `ids`: node id by name. The sum of several faults has
        the latest of their limits; the earlier ones are told to the nodes when they come."""
        enforced: dict[str, list[LinkFault]] = {ids[name]: [] for name in self.nodes}
        sums: dict[tuple[str, str], LinkFault] = {}
        for fault in self.faults:
            for wire in fault.wires:
                link = (wire.source, wire.target)
                sums[link] = _sum(sums.get(link), wire, ids[wire.target], fault.until)
        for (source, _), total in sorted(sums.items()):
            enforced[ids[source]].append(total)
        return {id: tuple(faults) for id, faults in enforced.items()}

    # ------------------------------------------------------------------------------------------- making and checking

    def _with(
        self,
        kind: FaultKind,
        text: str,
        now: float,
        for_s: float | None,
        nodes: tuple[str, ...],
        wires: Sequence[Wire] = (),
        groups: Sequence[tuple[str, ...]] = (),
    ) -> FaultTable:
        _check_limit(for_s)
        if len(self.faults) >= FAULTS_MAX:
            raise InvalidFault(f"{FAULTS_MAX} faults are in force, and more are not kept; heal some")
        fault = Fault(self.next_id, kind, text, now, for_s, nodes, tuple(wires), tuple(groups))
        return attrs.evolve(self, faults=(*self.faults, fault), next_id=self.next_id + 1)

    def _known(self, name: str) -> None:
        if name not in self.nodes:
            raise InvalidFault(f"there is no node {name}; the nodes are {' '.join(self.nodes)}")

    def _pair(self, source: str, target: str) -> None:
        self._known(source)
        self._known(target)
        if source == target:
            raise InvalidFault(f"{source} has no link to itself")

    def _sorted(self, names: set[str]) -> tuple[str, ...]:
        return tuple(name for name in self.nodes if name in names)

    def _groups(self, groups: Sequence[Sequence[str]]) -> list[tuple[str, ...]]:
        named = [name for group in groups for name in group]
        for name in named:
            self._known(name)
        twice = sorted({name for name in named if named.count(name) > 1})
        if twice:
            raise InvalidFault(f"{twice[0]} is named twice; a node is on one side only")
        if not groups or any(not group for group in groups):
            raise InvalidFault("a partition needs nodes on each side")
        whole = [set(group) for group in groups]
        rest = set(self.nodes) - set(named)
        if len(whole) == 1:
            if not rest:
                raise InvalidFault("every node is on one side; name those of one side only")
            whole.append(rest)
        else:
            whole[-1] |= rest
        return [self._sorted(group) for group in whole]


def _cut_off(one: str, other: str) -> list[Wire]:
    """What both ends have to do so that nothing passes."""
    return [Wire(one, other, cut_out=True, cut_in=True), Wire(other, one, cut_out=True, cut_in=True)]


def _sum(known: LinkFault | None, wire: Wire, target_id: str, until: float | None) -> LinkFault:
    if known is None:
        known = LinkFault(target_id, until=until)
    elif known.until is not None:
        known = attrs.evolve(known, until=None if until is None else max(known.until, until))
    known = attrs.evolve(known, cut_out=known.cut_out or wire.cut_out, cut_in=known.cut_in or wire.cut_in)
    if wire.shapes:
        return attrs.evolve(known, delay_ms=wire.delay_ms, jitter_ms=wire.jitter_ms, loss=wire.loss)
    return known


def _check_limit(for_s: float | None) -> None:
    if for_s is not None and not for_s > 0:
        raise InvalidFault(f"the time limit is {for_s:g} s; it must be more than 0")

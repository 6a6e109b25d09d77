"""What is broken on purpose, which key heals it, and who is cut off from whom."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from swarmtui.console.model.picture import FaultRow
from swarmtui.wire.host_calls import FaultReport
from swarmtui.wire.node_calls import LinkFault

_GLYPHS = {"kill": "✗", "pause": "‖", "stop": "■", "partition": "╳", "cut": "╳", "link": "~"}


def fault_rows(faults: Iterable[FaultReport]) -> tuple[FaultRow, ...]:
    """The newest first: that is the one which `u` undoes."""
    rows = []
    for position, fault in enumerate(sorted(faults, key=lambda fault: -fault.id)):
        heals = _KEYS.get(fault.kind) or ("u" if position == 0 else "H")
        rows.append(
            FaultRow(
                id=fault.id,
                kind=fault.kind,
                glyph=_GLYPHS.get(fault.kind, "!"),
                text=_text(fault),
                since=fault.since,
                until=fault.until,
                nodes=fault.nodes,
                heals=heals,
            )
        )
    return tuple(rows)


def _text(fault: FaultReport) -> str:
    """What it did, rather than the order that did it: `n1 killed`, `n1 n2 / n3 n4 n5`."""
    if fault.kind in _DONE:
        return f"{' '.join(fault.nodes)} {_DONE[fault.kind]}"
    return fault.text.removeprefix("partition ")


_DONE = {"kill": "killed", "pause": "paused", "stop": "stopped"}


_KEYS = {"kill": "R", "stop": "R", "pause": "P"}  # with the cursor on that node; all others are undone or healed


def cut_pairs(links: Mapping[str, tuple[LinkFault, ...]], now: float) -> set[frozenset[str]]:
    """The pairs of node ids between which no round trip is possible: cut in either direction at either end."""
    return {
        frozenset((node, fault.peer_id))
        for node, faults in links.items()
        for fault in faults
        if (fault.cut_out or fault.cut_in) and (fault.until is None or fault.until > now)
    }


def sides_of(groups: Iterable[Iterable[str]], everybody: Iterable[str]) -> tuple[tuple[str, ...], ...]:
    """The groups of a partition in full: those who are named nowhere belong to the last group, or, where there is only
    one, to the other (the rule of `partition`)."""
    named = [tuple(group) for group in groups if group]
    if not named:
        return ()
    mentioned = {name for group in named for name in group}
    rest = tuple(name for name in everybody if name not in mentioned)
    if not rest:
        return tuple(named)
    if len(named) == 1:
        return (*named, rest)
    return (*named[:-1], named[-1] + rest)

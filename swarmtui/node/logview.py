"""The replicated log as people see it: one line an entry, as this node holds it."""

from __future__ import annotations

from swarmtui.raft.configuration import InvalidConfiguration, decode_configuration
from swarmtui.raft.core import RaftCore
from swarmtui.raft.entries import Entry, EntryKind
from swarmtui.store import Store
from swarmtui.store.describe import describe_entry
from swarmtui.wire.node_calls import LOG_RANGE_MAX, LogLine, LogLines


def log_lines(core: RaftCore, store: Store, first: int, last: int, commit: int) -> LogLines:
    """Entries first..last that this node still holds in memory, at most LOG_RANGE_MAX of the newest of them."""
    held_first, held_last = core.log.base + 1, core.log.last
    start, stop = max(first, held_first, last - LOG_RANGE_MAX + 1), min(last, held_last)
    entries = core.entries(start, stop) if start <= stop else []
    lines = tuple(
        LogLine(
            entry.index,
            entry.term,
            entry.kind.name.lower(),
            _text(entry, store),
            len(entry.data),
            entry.index <= commit,
        )
        for entry in entries
    )
    return LogLines(lines, held_first, held_last, commit)


def _text(entry: Entry, store: Store) -> str:
    match entry.kind:
        case EntryKind.NOOP:
            return f"leader of term {entry.term} begins"
        case EntryKind.CONFIGURATION:
            try:
                return str(decode_configuration(entry.data))
            except InvalidConfiguration as error:
                return f"members: {error}"
        case EntryKind.TRANSACTIONS:
            return describe_entry(entry.data, store)
        case EntryKind.FEATURE:
            return f"feature level {entry.data.hex()}"

"""What tasks print, merged into one stream, bounded, each line with whose it is."""

from __future__ import annotations

from collections import deque

import attrs

from swarmtui.wire.node_calls import OutputLines

OUTPUT_LINES_MAX = 3000


@attrs.frozen
class OutputRow:
    time: float
    label: str  # web.2@n3
    letter: str  # the service's
    ink: int
    text: str
    error: bool  # came from standard error


class OutputBook:
    """The output of the tasks that were asked for; asking anew begins anew."""

    def __init__(self) -> None:
        self.rows: deque[OutputRow] = deque(maxlen=OUTPUT_LINES_MAX)
        self.target = ""
        self.missing: dict[str, str] = {}
        self._labels: dict[str, tuple[str, str, int]] = {}

    def begin(self, target: str) -> None:
        """Forget what was shown: `target` (a node, task or service by name) is listened to now."""
        self.rows.clear()
        self.missing.clear()
        self.target = target

    def label(self, task_id: str, label: str, letter: str, ink: int) -> None:
        """How lines of this task are marked."""
        self._labels[task_id] = (label, letter, ink)

    def add(self, lines: OutputLines) -> None:
        label, letter, ink = self._labels.get(lines.task_id, (lines.task_id[:8], "?", 0))
        if lines.missing:
            self.missing[label] = lines.missing
        for line in lines.lines:
            row = OutputRow(line.time, label, letter, ink, line.text, line.stream == "stderr")
            if self.rows and line.time < self.rows[-1].time:
                self._insert(row)
            else:
                self.rows.append(row)

    def _insert(self, row: OutputRow) -> None:
        position = len(self.rows)
        while position and self.rows[position - 1].time > row.time:
            position -= 1
        if len(self.rows) == OUTPUT_LINES_MAX:
            self.rows.popleft()
            position = max(0, position - 1)
        self.rows.insert(position, row)

    def copy(self) -> OutputBook:
        other = OutputBook()
        other.rows = deque(self.rows, maxlen=OUTPUT_LINES_MAX)
        other.target, other.missing, other._labels = self.target, dict(self.missing), dict(self._labels)
        return other

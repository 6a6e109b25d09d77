"""Lines, spans and inks: the small language in which panes say what they draw.

An ink is a name for a meaning (`leader`, `down`, `term-3-fill`), never a colour: console.tcss gives each its colours from the
theme's variables through the component class `ink--NAME`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from rich.cells import cell_len, set_cell_size

from swarmtui.console.model.services import SERVICE_INKS

Span = tuple[str, str]
Line = tuple[Span, ...]

TERM_INKS = 6
PLAIN = ""
INKS: tuple[str, ...] = (
    "quiet",  # said, but not to be read first
    "faint",  # structure: rules, dots, empty bars
    "strong",
    "title",
    "title-focus",
    "key",
    "name",  # the cluster's name
    "leader",
    "follower",
    "candidate",
    "unsure",
    "paused",
    "down",
    "good",
    "warn",
    "bad",
    "good-fill",
    "warn-fill",
    "bad-fill",
    "quiet-fill",
    "held-fill",
    "tab",
    "tab-active",
    "cursor",
    "cursor-idle",
    "echo",
    "error",
    *(f"term-{number}" for number in range(TERM_INKS)),
    *(f"term-{number}-fill" for number in range(TERM_INKS)),
    *(f"term-{number}-cell" for number in range(TERM_INKS)),
    *(f"service-{number}" for number in range(SERVICE_INKS)),
    *(f"service-{number}-fill" for number in range(SERVICE_INKS)),
)


def term_ink(term: int, *, fill: bool = False, cell: bool = False) -> str:
    """The colour of a term; its digits are always written as well. `fill` is a chip, `cell` a calmer ground for many."""
    return f"term-{term % TERM_INKS}{'-fill' if fill else '-cell' if cell else ''}"


def service_ink(ink: int, *, fill: bool = False) -> str:
    return f"service-{ink}{'-fill' if fill else ''}"


def fit(text: str, width: int) -> str:
    """The text in exactly `width` cells: cut with an ellipsis, or padded."""
    if width <= 0:
        return ""
    if text.isascii():
        if len(text) > width:
            return text[: width - 1] + "…"
        return text.ljust(width)
    if cell_len(text) > width:
        return set_cell_size(text, width - 1) + "…"
    return set_cell_size(text, width)


def one_line(text: str) -> str:
    """Text from outside, made safe for one line of the screen: no escape sequences, no control characters, no tabs."""
    if text.isprintable():
        return text
    plain = ESCAPES.sub("", text).replace("\t", "    ")
    return "".join(letter if letter.isprintable() else " " for letter in plain)


ESCAPES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # colours, and whatever moves the cursor or clears
    r"|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?"  # titles and links, up to their end or that of the text
    r"|\x1b[ -/]*[0-~]"
)
"""The escape sequences of a terminal, whole: what is left of one would read as text."""


def shorten(text: str, letters: int) -> str:
    """The text, cut with an ellipsis if it has more letters."""
    return text if len(text) <= letters else text[: letters - 1] + "…"


def fit_name(name: str, width: int) -> str:
    """A task's name in exactly `width` cells. A long one loses the middle: its slot and node are what tells it apart."""
    service, dot, rest = name.rpartition(".")
    if not dot or cell_len(name) <= width or cell_len(rest) + 4 > width:
        return fit(name, width)
    return fit(service, width - cell_len(rest) - 1).rstrip() + dot + rest


class Pen:
    """Writes one line from left to right and knows where it is."""

    def __init__(self, width: int) -> None:
        self.width = width
        self.column = 0
        self._spans: list[Span] = []

    @property
    def room(self) -> int:
        """Cells left on the line."""
        return max(0, self.width - self.column)

    def write(self, text: str, ink: str = PLAIN) -> Pen:
        """Write as much of the text as fits."""
        length = len(text) if text.isascii() else cell_len(text)
        if length > self.room:
            text = fit(text, self.room)
            length = self.room
        if text:
            self._spans.append((text, ink))
            self.column += length
        return self

    def field(self, text: str, width: int, ink: str = PLAIN) -> Pen:
        """Write the text in a field of exactly this width."""
        return self.write(fit(text, width), ink)

    def number(self, text: str, width: int, ink: str = PLAIN) -> Pen:
        """Write the text at the right edge of a field."""
        return self.write(text.rjust(width) if len(text) <= width else fit(text, width), ink)

    def skip(self, cells: int = 1) -> Pen:
        return self.write(" " * cells)

    def to(self, column: int) -> Pen:
        """Go on at this column, if it is not passed yet."""
        if column > self.column:
            self.write(" " * (column - self.column))
        return self

    def spans(self, spans: Iterable[Span]) -> Pen:
        for text, ink in spans:
            self.write(text, ink)
        return self

    def right(self, spans: Iterable[Span]) -> Pen:
        """Write these at the right edge, if they still fit behind what stands there, with one cell between."""
        spans = list(spans)
        length = sum(cell_len(text) for text, _ in spans)
        if length < self.room:
            self.to(self.width - length).spans(spans)
        return self

    def line(self) -> Line:
        return tuple(self._spans)


def rule(title: Iterable[Span], width: int, detail: Iterable[Span] = ()) -> Line:
    """A thin rule with a title in it, and details at its right end."""
    pen = Pen(width).write("─", "faint").spans(title)
    detail = list(detail)
    length = sum(cell_len(text) for text, _ in detail)
    if detail and length + 3 < pen.room:
        pen.write("─" * (pen.room - length - 1), "faint").spans(detail)
    return pen.write("─" * pen.room, "faint").line()


ASCII_GLYPHS = str.maketrans(
    {
        "◆": "L", "○": "f", "▲": "C", "△": "p", "◇": "n", "□": "w", "✗": "X", "■": "S", "‖": "P", "╳": "x", "●": "*",
        "◐": "%", "◔": "!", "─": "-", "━": "=", "╍": "~", "┄": ".", "█": "#", "▇": "#", "▒": "+", "·": ".", "▮": "|", "▯": ".",
        "→": ">", "▸": ">", "▹": "-", "…": "~", "│": "|", "└": "`", "├": "|", "↻": "@", "✓": "+", "▤": "#", "←": "<", "↑": "^",
        "↓": "v", "–": "-", "“": '"', "”": '"', "┌": "+", "┐": "+", "┘": "+", "▪": "#", "▫": ".", "⏎": "<",
    }
)  # fmt: skip
"""What stands for each glyph where the terminal cannot show it: one cell for one cell."""


def to_ascii(text: str) -> str:
    """The text for a terminal that speaks ASCII only."""
    if text.isascii():
        return text
    return text.translate(ASCII_GLYPHS).encode("ascii", "replace").decode("ascii")

"""The `Output` of a shell: answers on standard output, notes and progress on standard error.

Progress redraws itself on a terminal, and elsewhere says one line when its figures change. A table is cut to the width of
a terminal, never in a pipe. What a stream's encoding cannot say is replaced, never an error.
"""

from __future__ import annotations

import codecs
import json
import os
import shutil
import sys
from collections.abc import Mapping
from typing import IO, Any

import attrs

from swarmtui.cli.formats import Format, Style, fill, listing_lines, table_lines, to_json
from swarmtui.commands.command import DUMB_TERMINALS
from swarmtui.commands.errors import CommandFailed
from swarmtui.commands.output import (
    Document,
    Failure,
    Inspection,
    Item,
    Line,
    Listing,
    Note,
    Progress,
    SlotMark,
)
from swarmtui.commands.words import one_line

PROGRAM = "swarmtui"
INSPECT_INDENT = 4  # docker's
SLOTS_SHOWN_MAX = 20  # a line each, as docker: beyond, only the sum

_UP_AND_CLEAR = "\x1b[{count}F\x1b[J"
_COLOURS: Mapping[SlotMark, str] = {
    SlotMark.RUNNING: "\x1b[32m",
    SlotMark.FAILED: "\x1b[31m",
    SlotMark.MOVING: "\x1b[33m",
    SlotMark.WAITING: "",
}
_RESET = "\x1b[0m"


class OutputLost(CommandFailed):
    """Standard output takes nothing more: a full disk, a device that is gone. What was ordered may well be done."""

    @classmethod
    def of(cls, error: OSError) -> OutputLost:
        return cls(f"the output cannot be written: {error.strerror}")


@attrs.define
class Terminal:
    """Writes what commands show. `width` None: not a terminal, nothing is cut."""

    out: IO[str]
    error: IO[str]
    form: Format = Format()
    quiet: bool = False
    width: int | None = None
    redraws: bool = False  # standard error is a terminal that obeys cursor movements
    colours: bool = False
    _drawn: int = attrs.field(init=False, default=0)  # lines of progress on the screen
    _said: str = attrs.field(init=False, default="")

    def show(self, item: Item) -> None:
        try:
            self._show(item)
        except BrokenPipeError:
            raise  # whoever reads has had enough: no failure
        except OSError as error:
            raise OutputLost.of(error) from error

    def _show(self, item: Item) -> None:
        if isinstance(item, Progress):
            self._progress(item)
            return
        self._erase()
        match item:
            case Listing():
                for line in listing_lines(item, self.form, quiet=self.quiet, width=self.width):
                    self._write(line)
            case Document():
                self._document(item)
            case Inspection():
                self._inspection(item)
            case Line():
                self._value({item.field: item.text}, item.text)
            case Note():
                self._say(one_line(item.text))
            case Failure():
                self._say(f"{PROGRAM}: {one_line(item.text)}")
        self.out.flush()

    def fail(self, text: str) -> None:
        """The one line that says what happened and what next."""
        self._erase()
        if text:
            self._say(f"{PROGRAM}: {one_line(text)}")

    def close(self) -> None:
        self._erase()

    def _document(self, item: Document) -> None:
        if item.data is not None and self.form.style in (Style.TABLE, Style.PLAIN):
            self._bytes(item.data)
        elif item.to_error and self.form.style in (Style.TABLE, Style.PLAIN):
            self.out.flush()
            self._say(item.text)
        else:
            self._value(item.value, item.text)

    def _value(self, value: Mapping[str, Any], text: str) -> None:
        if self.form.style is Style.JSON:
            self._write(to_json(value, self.form.ascii_only))
        elif self.form.style is Style.TEMPLATE:
            self._write(fill(self.form.parts, value))
        else:
            self._write(text)

    def _inspection(self, item: Inspection) -> None:
        if self.form.style is Style.TEMPLATE:
            for value in item.objects:
                self._write(fill(self.form.parts, value))
        elif self.form.style is Style.JSON:
            for value in item.objects:
                self._write(to_json(value, self.form.ascii_only))
        elif item.pretty:
            self._write(item.pretty)
        else:
            self._write(
                json.dumps(list(item.objects), indent=INSPECT_INDENT, ensure_ascii=self.form.ascii_only, default=str)
            )

    def _bytes(self, data: bytes) -> None:
        """A value as it is; on a terminal with a line's end, so that the prompt stands on a line of its own."""
        buffer = getattr(self.out, "buffer", None)
        if buffer is None:
            self.out.write(data.decode(errors="replace"))
        else:
            self.out.flush()
            buffer.write(data)
            buffer.flush()
        if self.width is not None and not data.endswith(b"\n"):
            self.out.write("\n")

    def _write(self, line: str) -> None:
        self.out.write(line + "\n")

    def _say(self, line: str) -> None:
        self.error.write(line + "\n")
        self.error.flush()

    # ------------------------------------------------------------------------------------------------------- progress

    def _progress(self, progress: Progress) -> None:
        if self.form.style is Style.JSON and not self.redraws:
            return
        if self.redraws:
            self._redraw(progress)
            return
        text = progress.text or next((f"{slot.name}: {slot.text}" for slot in progress.slots if slot.trouble), "")
        said = f"{progress.title}: {progress.running} of {progress.wanted} ready" + _after(text)
        if said != self._said:
            self._said = said
            self._say(one_line(said))

    def _redraw(self, progress: Progress) -> None:
        lines = [
            f"overall progress: {progress.running} out of {progress.wanted} {progress.unit}{_after(one_line(progress.text))}"
        ]
        if len(progress.slots) <= SLOTS_SHOWN_MAX:
            rows = [(f"{slot.name}:", one_line(slot.text)) for slot in progress.slots]
            painted = [self._painted(slot.mark) for slot in progress.slots]
            lines += [
                f"{before}{line}{after}"
                for line, (before, after) in zip(table_lines(rows, (), None), painted, strict=True)
            ]
        width = (self.width or 80) - 1
        drawn = "".join(f"{_fit(line, width)}\n" for line in lines)
        if self._drawn and drawn == self._said and not progress.done:
            return
        self._erase()
        self._said = drawn
        self.error.write(drawn)
        self.error.flush()
        self._drawn = 0 if progress.done else len(lines)

    def _painted(self, mark: SlotMark) -> tuple[str, str]:
        colour = _COLOURS[mark] if self.colours else ""
        return (colour, _RESET) if colour else ("", "")

    def _erase(self) -> None:
        if self._drawn:
            self.error.write(_UP_AND_CLEAR.format(count=self._drawn))
            self.error.flush()
            self._drawn = 0


def _after(text: str) -> str:
    return f" ({text})" if text else ""


def _fit(line: str, width: int) -> str:
    """A line that wraps could not be erased: cut it. Its colours count for nothing and are kept at both ends."""
    if line.startswith("\x1b["):
        start = line.index("m") + 1
        return f"{line[:start]}{line[start : -len(_RESET)][:width]}{_RESET}"
    return line[:width]


def shell_terminal(form: Format, *, quiet: bool, environment: Mapping[str, str]) -> Terminal:
    """The terminal of this process's standard streams."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")
    says_everything = codecs.lookup(sys.stdout.encoding or "ascii").name == "utf-8"
    error_is_terminal = sys.stderr.isatty() and environment.get("TERM", "").lower() not in DUMB_TERMINALS
    return Terminal(
        sys.stdout,
        sys.stderr,
        form=attrs.evolve(form, ascii_only=not says_everything),
        quiet=quiet,
        width=shutil.get_terminal_size().columns if sys.stdout.isatty() else None,
        redraws=error_is_terminal,
        colours=error_is_terminal and not environment.get("NO_COLOR"),
    )


def open_missing_streams() -> None:
    """Standard streams that were closed (`>&-`) become the null device: else the next file or socket opened would take
    their numbers, and be written to."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    sys.stdin = sys.stdin or open(0, encoding="utf-8", closefd=False)  # noqa: SIM115  (as long as the process)
    sys.stdout = sys.stdout or open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115


def silence(stream: IO[str]) -> None:
    """Nobody reads any more: what is still buffered goes nowhere, and the interpreter's last flush finds no broken pipe."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())

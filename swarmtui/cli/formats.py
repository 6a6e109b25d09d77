"""From what a command shows to text: `--format table|json|plain|TEMPLATE`.

A template knows `{{.Field}}` (nested with dots), `{{json .}}`, `\\t` and `\\n`, and text; `table TEMPLATE` adds headings,
as docker's does. Anything more is refused before the command runs.
"""

from __future__ import annotations

import enum
import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from swarmtui.commands.errors import WrongUsage
from swarmtui.commands.output import Column, Listing, Row
from swarmtui.commands.words import one_line

CELL_WIDTH_MIN = 10  # columns: docker's tabwriter.NewWriter(out, 10, 1, 3, ' ', 0)
CELL_PADDING = 3
SHRUNK_WIDTH_MIN = 8

_TAG = re.compile(r"\{\{(.*?)\}\}")
_FIELD = re.compile(r"\s*((?:\.[A-Za-z][A-Za-z0-9_]*)+)\s*")
_JSON = re.compile(r"\s*json\s+\.\s*")


class InvalidFormat(ValueError):
    """The format is none that is known here."""


class Style(enum.StrEnum):
    TABLE = "table"
    JSON = "json"
    PLAIN = "plain"
    TEMPLATE = "template"


@attrs.frozen
class Format:
    """How to write. `parts` are a template's: texts, and fields as tuples of names; the empty tuple is `{{json .}}`.
    `headings`: a template under `table`."""

    style: Style = Style.TABLE
    parts: tuple[str | tuple[str, ...], ...] = ()
    headings: bool = False
    ascii_only: bool = False  # the stream cannot say more: JSON escapes the rest


def parse_format(text: str | None) -> Format:
    """`--format`'s value. Raises InvalidFormat."""
    if text is None or text == "":
        return Format()
    if text in (Style.TABLE, Style.JSON, Style.PLAIN):
        return Format(Style(text))
    headings = text.startswith("table ")
    template = text.removeprefix("table ").strip() if headings else text
    if "{{" not in template:
        raise InvalidFormat(f"--format {text!r} is none of table, json, plain or a template such as '{{{{.ID}}}}'")
    return Format(Style.TEMPLATE, _template_parts(template), headings)


def _template_parts(template: str) -> tuple[str | tuple[str, ...], ...]:
    parts: list[str | tuple[str, ...]] = []
    position = 0
    for tag in _TAG.finditer(template):
        parts.append(_unescaped(template[position : tag.start()]))
        position = tag.end()
        if field := _FIELD.fullmatch(tag[1]):
            parts.append(tuple(field[1].split(".")[1:]))
        elif _JSON.fullmatch(tag[1]):
            parts.append(())
        else:
            raise InvalidFormat(
                f"--format: {tag[0]} is not known; a template has {{{{.Field}}}}, {{{{json .}}}}, \\t and text"
            )
    rest = template[position:]
    if "{{" in rest or "}}" in "".join(part for part in parts if isinstance(part, str)):
        raise InvalidFormat(f"--format: {template!r} lacks a closing }}}}")
    parts.append(_unescaped(rest))
    return tuple(part for part in parts if part != "")


def _unescaped(text: str) -> str:
    return text.replace("\\t", "\t").replace("\\n", "\n")


# ---------------------------------------------------------------------------------------------------------- rendering


def to_json(value: Any, ascii_only: bool = False) -> str:
    """One line of JSON; text outside ASCII stays readable where it can."""
    return json.dumps(value, ensure_ascii=ascii_only, separators=(",", ":"), default=str)


def fill(parts: Sequence[str | tuple[str, ...]], value: Mapping[str, Any]) -> str:
    """A template filled in. A field that does not exist is WrongUsage, with those that do."""
    return "".join(part if isinstance(part, str) else _field(part, value) for part in parts)


def _field(path: tuple[str, ...], value: Mapping[str, Any]) -> str:
    if not path:
        return to_json(value)
    found: Any = value
    for position, name in enumerate(path):
        if not isinstance(found, Mapping) or name not in found:
            where = "." + ".".join(path[: position + 1])
            plain = "none, it is a list" if isinstance(found, (list, tuple)) else "none, it is a plain value"
            known = ", ".join(found) if isinstance(found, Mapping) else plain
            raise WrongUsage(f"--format: there is no field {where}; there are {known}")
        found = found[name]
    if found is None:
        return ""
    if isinstance(found, bool):
        return "true" if found else "false"
    return found if isinstance(found, str) else str(found) if isinstance(found, (int, float)) else to_json(found)


def listing_lines(listing: Listing, form: Format, *, quiet: bool, width: int | None) -> list[str]:
    """A listing as lines. `width` is the screen's, where there is one to fit."""
    if quiet:
        return [str(row.values[listing.quiet]) for row in listing.rows]
    if form.style is Style.JSON:
        return [to_json(row.values, form.ascii_only) for row in listing.rows]
    if form.style is Style.TEMPLATE and not form.headings:
        return [fill(form.parts, row.values) for row in listing.rows]
    if form.style is Style.TEMPLATE:
        return _template_table(listing, form)
    cells = [[one_line(row.cell(column.field)) for column in listing.columns] for row in listing.rows]
    if form.style is Style.PLAIN:
        return ["\t".join(row).rstrip("\t") for row in cells]
    headings = [column.heading for column in listing.columns]
    return table_lines([headings, *cells], _shrinkable(listing.columns), width)


def _template_table(listing: Listing, form: Format) -> list[str]:
    headings = {column.field: column.heading for column in listing.columns}
    title = "".join(
        part if isinstance(part, str) else headings.get(".".join(part), heading_of(part)) for part in form.parts
    )
    rows = [title.split("\t"), *(fill(form.parts, _as_cells(row)).split("\t") for row in listing.rows)]
    return table_lines(rows, (), None)


def _as_cells(row: Row) -> Mapping[str, Any]:
    return {**row.values, **row.cells}


def heading_of(path: Sequence[str]) -> str:
    """`CurrentState` as a heading: `CURRENT STATE`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", path[-1] if path else "").upper()


def _shrinkable(columns: Sequence[Column]) -> tuple[int, ...]:
    return tuple(position for position, column in enumerate(columns) if column.shrinks)


def table_lines(rows: Sequence[Sequence[str]], shrinkable: Sequence[int], width: int | None) -> list[str]:
    """Docker's spacing: every column but the last as wide as its widest cell and three, at least ten."""
    count = max((len(row) for row in rows), default=0)
    widths = [max((cell_width(row[column]) for row in rows if column < len(row)), default=0) for column in range(count)]
    if width is not None:
        _shrink(widths, shrinkable, width)
    lines = []
    for row in rows:
        parts = [_cut(cell, widths[column]) for column, cell in enumerate(row)]
        padded = [
            part + " " * (max(widths[column] + CELL_PADDING, CELL_WIDTH_MIN) - cell_width(part))
            for column, part in enumerate(parts[:-1])
        ]
        lines.append("".join([*padded, *parts[-1:]]).rstrip())
    return lines


def _shrink(widths: list[int], shrinkable: Sequence[int], width: int) -> None:
    """Narrows the columns that may be cut until the line fits, or until they are as narrow as they may be."""
    for column in shrinkable:
        total = sum(max(cell + CELL_PADDING, CELL_WIDTH_MIN) for cell in widths[:-1]) + widths[-1]
        if total > width:
            widths[column] = max(SHRUNK_WIDTH_MIN, widths[column] - (total - width))


def _cut(text: str, width: int) -> str:
    if cell_width(text) <= width:
        return text
    kept = ""
    for character in text:
        if cell_width(kept + character) > width - 1:
            break
        kept += character
    return kept + "…"


def cell_width(text: str) -> int:
    """Columns on a screen: wide characters take two, combining ones none."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(character) else 2 if unicodedata.east_asian_width(character) in "WF" else 1
        for character in text
    )

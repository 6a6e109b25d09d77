"""`${VAR}` in files, replaced as Docker Compose does.

`$VAR` and `${VAR}`, `${VAR:-default}` (unset or empty) and `${VAR-default}` (unset), `${VAR:?why}` and `${VAR?why}` (refused),
`${VAR:+other}` and `${VAR+other}`, nested inside one another; `$$` is a dollar sign. A variable that is not set and has
no default becomes nothing and is named in `missing`, which Compose warns about.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

NESTING_MAX = 20

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class InvalidInterpolation(ValueError):
    """The text is no valid interpolation, or asks for a variable that must be set."""


def interpolate(text: str, environment: Mapping[str, str], missing: set[str]) -> str:
    """`text` with every variable replaced; names of variables that were not set are added to `missing`."""
    if "$" not in text:
        return text
    return _interpolate_until(text, 0, None, environment, missing, 0)[0]


def _interpolate_until(
    text: str, position: int, end: str | None, environment: Mapping[str, str], missing: set[str], depth: int
) -> tuple[str, int]:
    """Reads up to `end` (None: the end of the text), which is not consumed."""
    if depth > NESTING_MAX:
        raise InvalidInterpolation(f"variables are nested more than {NESTING_MAX} deep")
    parts: list[str] = []
    while position < len(text):
        character = text[position]
        if character == end:
            return "".join(parts), position
        if character != "$":
            parts.append(character)
            position += 1
        elif text.startswith("$$", position):
            parts.append("$")
            position += 2
        elif text.startswith("${", position):
            value, position = _braced(text, position + 2, environment, missing, depth)
            parts.append(value)
        elif match := _NAME.match(text, position + 1):
            parts.append(_plain(match[0], environment, missing))
            position = match.end()
        else:
            raise InvalidInterpolation(f"{text!r} has a lone $; write $$ for a dollar sign")
    if end is not None:
        raise InvalidInterpolation(f"{text!r} lacks the closing }} of a variable")
    return "".join(parts), position


def _braced(text: str, position: int, environment: Mapping[str, str], missing: set[str], depth: int) -> tuple[str, int]:
    """What follows `${`, through the closing brace."""
    match = _NAME.match(text, position)
    if match is None:
        raise InvalidInterpolation(f"{text!r} names no variable after ${{; write $$ for a dollar sign")
    name, position = match[0], match.end()
    if text.startswith("}", position):
        return _plain(name, environment, missing), position + 1
    empty_counts = text.startswith(":", position)
    operator = text[position + empty_counts : position + empty_counts + 1]
    if operator not in ("-", "?", "+") or not operator:
        raise InvalidInterpolation(f"{text!r} is no variable; write ${{{name}}} or ${{{name}:-default}}")
    # The alternative is read even where it is not used: its own missing variables must then not be reported.
    unused: set[str] = set()
    is_set = bool(environment.get(name)) if empty_counts else name in environment
    used = is_set if operator == "+" else not is_set
    start = position + empty_counts + 1
    alternative, position = _interpolate_until(text, start, "}", environment, missing if used else unused, depth + 1)
    if operator == "?" and not is_set:
        raise InvalidInterpolation(f"{name} must be set: {alternative or 'it is required'}")
    if used:
        return alternative, position + 1
    return ("" if operator == "+" else environment[name]), position + 1


def _plain(name: str, environment: Mapping[str, str], missing: set[str]) -> str:
    if name not in environment:
        missing.add(name)
    return environment.get(name, "")

"""Themes as data: each `themes/NAME.toml` is a Textual theme with the console's own variables.

In a wheel the files lie beside this module; in a checkout they are the repository's `themes/`. One's own go into
`$XDG_CONFIG_HOME/swarmtui/themes`. A file that cannot be used is reported with its reason and left out.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import attrs
import platformdirs
from textual.color import Color, ColorParseError
from textual.theme import Theme

DEFAULT_THEME = "dark"
REQUIRED_COLOURS = ("primary", "foreground", "background", "surface", "panel", "warning", "error", "success", "accent")
VARIABLE_DEFAULTS: Mapping[str, str] = {
    "role-leader": "#e8e4d8",
    "role-follower": "#a9b1ba",
    "role-candidate": "#e5b567",
    "role-down": "#e06c75",
    "role-paused": "#9aa5ce",
    "role-unsure": "#b48ead",
    "quiet": "#7d8590",
    "faint": "#3f4750",
    "chip": "#2b3138",
    "chip-ink": "#c9d1d9",
    "alert-ink": "#101418",
    "cursor": "#262d36",
    "term-ink": "#0d1117",
    "term-0": "#7aa2d6",
    "term-1": "#e0af68",
    "term-2": "#8abf8a",
    "term-3": "#c699d8",
    "term-4": "#e08f6f",
    "term-5": "#6cc0c0",
    "service-ink": "#0d1117",
    **{
        f"service-{number}": colour
        for number, colour in enumerate(
            ("#5fb3b3", "#c594c5", "#99c794", "#fac863", "#6699cc", "#f99157", "#ab7967", "#a7adba")
        )
    },
}
"""The console's own variables, as the dark theme has them; a theme overrides what it wants otherwise."""


class BrokenTheme(Exception):
    """A theme file that cannot be used; the text names file and reason."""


@attrs.frozen
class Themes:
    """The themes that can be used, in their order, and what is wrong with the others."""

    themes: tuple[Theme, ...]
    problems: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(theme.name for theme in self.themes)


def parse_theme(name: str, text: str) -> Theme:
    """The theme in this TOML. Raises BrokenTheme."""
    try:
        data: dict[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BrokenTheme(f"theme {name}: {error}") from None
    variables = data.pop("variables", {})
    dark = data.pop("dark", True)
    title = data.pop("name", name)
    missing = [key for key in REQUIRED_COLOURS if key not in data]
    if missing:
        raise BrokenTheme(f"theme {name}: {', '.join(missing)} missing")
    unknown = sorted(set(data) - {*REQUIRED_COLOURS, "secondary", "boost"})
    unknown += sorted(set(variables) - {*VARIABLE_DEFAULTS, *TEXTUAL_VARIABLES})
    if unknown:
        raise BrokenTheme(f"theme {name}: unknown {', '.join(unknown)}")
    for key, value in {**data, **variables}.items():
        try:
            Color.parse(str(value))
        except ColorParseError:
            raise BrokenTheme(f"theme {name}: {key} = {value!r} is no colour") from None
    if not isinstance(dark, bool) or not isinstance(title, str):
        raise BrokenTheme(f"theme {name}: dark must be true or false and name a text")
    return Theme(name=title, dark=dark, variables={**VARIABLE_DEFAULTS, **variables}, **data)


TEXTUAL_VARIABLES = (
    "border",
    "scrollbar",
    "scrollbar-background",
    "input-cursor-background",
    "block-cursor-background",
)


def theme_files() -> Iterator[tuple[str, str]]:
    """Name and text of every theme file: those that came with swarmtui, then the user's own."""
    packaged = resources.files("swarmtui.console").joinpath("themes")
    checkout = Path(__file__).resolve().parents[2] / "themes"
    for folder in (packaged if packaged.is_dir() else checkout, platformdirs.user_config_path("swarmtui") / "themes"):
        if folder.is_dir():
            for file in sorted(folder.iterdir(), key=lambda file: file.name):
                if file.name.endswith(".toml"):
                    try:
                        yield file.name.removesuffix(".toml"), file.read_text(encoding="utf-8")
                    except (OSError, UnicodeDecodeError) as error:
                        yield file.name.removesuffix(".toml"), f"unreadable = {error}"


def load_themes(files: Iterable[tuple[str, str]] | None = None) -> Themes:
    """Every theme that can be used; the default first, then by name; a user's theme replaces one of the same name."""
    themes: dict[str, Theme] = {}
    problems = []
    for name, text in theme_files() if files is None else files:
        try:
            theme = parse_theme(name, text)
        except BrokenTheme as problem:
            problems.append(str(problem))
        else:
            themes[theme.name] = theme
    order = sorted(themes, key=lambda name: (name != DEFAULT_THEME, name))
    return Themes(tuple(themes[name] for name in order), tuple(problems))

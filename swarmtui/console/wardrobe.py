"""Changing themes while the console runs. Files are read anew each time, so an edited theme shows itself at once; the last
choice is remembered for the next time.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs
from textual.app import App

from swarmtui.console.theming import DEFAULT_THEME, Themes, load_themes

if TYPE_CHECKING:
    from swarmtui.console.app import ConsoleApp


class Wardrobe:
    """The themes that there are, for one application. A broken file is said and keeps what is worn."""

    def __init__(self, app: ConsoleApp) -> None:
        self._app = app
        self._themes = Themes((), ())

    def open(self) -> None:
        """Put on what was worn last, else the default, before the style sheet is read: changed later, it would be read a
        second time and every widget be styled anew."""
        app = self._app
        self._themes = load_themes()
        for theme in self._themes.themes:
            app.register_theme(theme)
        for name in (_remembered(), DEFAULT_THEME):
            if name in self._themes.names:
                app.set_reactive(App.theme, name)  # nobody watches yet
                app.set_class(app.current_theme.dark, "-dark-mode", update=False)
                app.set_class(not app.current_theme.dark, "-light-mode", update=False)
                app.stylesheet.set_variables(app.get_css_variables())
                return

    def next(self) -> None:
        """The theme after the present one."""
        self._read()
        names = self._themes.names
        if names:
            after = names.index(self._app.theme) + 1 if self._app.theme in names else 0
            self._wear(names[after % len(names)])

    def use(self, name: str) -> None:
        """The theme of this name, or say which there are."""
        self._read()
        if name in self._themes.names:
            self._wear(name)
        else:
            self._app.notify(f"no theme {name}; there are {', '.join(self._themes.names)}", severity="warning")

    def _read(self) -> None:
        self._themes = load_themes()
        self.complain()

    def complain(self) -> None:
        """Say which files could not be used."""
        for problem in self._themes.problems:
            self._app.notify(problem, severity="warning", title="Theme left out")

    def _wear(self, name: str) -> None:
        self._app.register_theme(next(theme for theme in self._themes.themes if theme.name == name))
        if self._app.theme == name:
            self._app.refresh_css(animate=False)
        self._app.theme = name
        self._app.echo(f"theme {name}")
        _remember(name)


def _choice() -> Path:
    return platformdirs.user_state_path("swarmtui") / "theme"


def _remembered() -> str:
    try:
        return _choice().read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _remember(name: str) -> None:
    with suppress(OSError):  # a choice that cannot be kept is still worn now
        _choice().parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _choice().write_text(f"{name}\n", encoding="utf-8")

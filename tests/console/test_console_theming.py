"""Themes as data: all that are shipped can be used and read, and a broken one is said and left out."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.color import Color

from swarmtui.console.panes.ink import INKS
from swarmtui.console.theming import DEFAULT_THEME, BrokenTheme, load_themes, parse_theme, theme_files

SHIPPED = {"dark", "light", "paper", "high-contrast", "colour-blind", "mono"}
READ_AT_ONCE = ("role-leader", "role-follower", "role-candidate", "role-down", "role-paused", "role-unsure")


def contrast(one: str, other: str) -> float:
    """The contrast ratio of WCAG 2."""

    def luminance(colour: str) -> float:
        parts = [value / 255 for value in Color.parse(colour).rgb]
        linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def test_all_shipped_themes_load_and_the_default_comes_first() -> None:
    themes = load_themes()
    assert not themes.problems
    assert themes.names[0] == DEFAULT_THEME
    assert set(themes.names) == SHIPPED


@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_what_must_be_read_has_contrast(name: str) -> None:
    theme = next(theme for theme in load_themes().themes if theme.name == name)
    values = theme.variables
    assert theme.background is not None
    wanted = 7.0 if name in ("paper", "high-contrast") else 4.5
    texts = [theme.foreground, theme.success, theme.warning, theme.error, *(values[key] for key in READ_AT_ONCE)]
    for text in texts:
        assert text is not None
        assert contrast(text, theme.background) >= wanted, (name, text)
    for number in range(6):
        term = values[f"term-{number}"]
        assert contrast(values["term-ink"], term) >= 4.5, (name, number)
        assert contrast(term, theme.background) >= 3.0, (name, number)
    for number in range(8):
        assert contrast(values["service-ink"], values[f"service-{number}"]) >= 4.5, (name, number)
    for fill in (theme.success, theme.warning, theme.error, theme.accent):
        assert fill is not None
        assert contrast(values["alert-ink"], fill) >= 4.5, (name, fill)
    assert contrast(values["quiet"], theme.background) >= (7.0 if name == "paper" else 4.5), name


@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_what_is_read_has_contrast_on_every_ground_that_it_stands_on(name: str) -> None:
    """The row that keys act upon, the bars at top and bottom, the banner, and the filled cells of the log."""
    theme = next(theme for theme in load_themes().themes if theme.name == name)
    values = theme.variables
    wanted = 7.0 if name in ("paper", "high-contrast") else 4.5
    assert theme.background
    assert theme.foreground
    assert theme.surface
    assert theme.panel
    texts = {"primary": theme.primary, "success": theme.success, "warning": theme.warning, "error": theme.error}
    texts |= {"foreground": theme.foreground, "quiet": values["quiet"], **{key: values[key] for key in READ_AT_ONCE}}
    for ground in (theme.background, theme.surface, theme.panel, values["cursor"]):
        for what, text in texts.items():
            assert text is not None
            assert contrast(text, ground) >= wanted, (what, ground)
        for number in range(8):
            assert contrast(values[f"service-{number}"], ground) >= 4.5, (number, ground)
    for number in range(6):
        cell = Color.parse(theme.background).blend(Color.parse(values[f"term-{number}"]), cell_strength()).hex
        assert contrast(theme.foreground, cell) >= wanted, number
        assert contrast(cell, theme.background) >= 1.4, number  # filled is told from bare


def cell_strength() -> float:
    """How much of a term's colour a committed cell of the log carries."""
    sheet = (Path(__file__).parents[2] / "swarmtui/console/console.tcss").read_text()
    return int(sheet.split(".ink--term-0-cell { background: $term-0 ")[1].split("%")[0]) / 100


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("primary = [", "theme x:"),
        ('primary = "#123456"', "foreground, background"),
        ("", "primary"),
    ],
)
def test_a_theme_that_is_no_theme_says_why(text: str, reason: str) -> None:
    with pytest.raises(BrokenTheme, match=reason):
        parse_theme("x", text)


def dark() -> str:
    return next(text for name, text in theme_files() if name == "dark")


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('primary = "#82aaff"', 'primary = "blurple"', "primary = 'blurple' is no colour"),
        ('quiet = "', 'quieter = "', "unknown quieter"),
        ("dark = true", 'dark = "yes"', "dark must be true or false"),
    ],
)
def test_a_bad_value_is_named(old: str, new: str, reason: str) -> None:
    with pytest.raises(BrokenTheme, match=reason):
        parse_theme("dark", dark().replace(old, new))


def test_a_users_theme_is_found_and_replaces_one_of_the_same_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "config" / "swarmtui" / "themes"
    folder.mkdir(parents=True)
    monkeypatch.setattr(
        "swarmtui.console.theming.platformdirs.user_config_path", lambda name: tmp_path / "config" / name
    )
    (folder / "mine.toml").write_text(dark())
    (folder / "light.toml").write_text(dark())
    (folder / "broken.toml").write_text("primary = ")
    themes = load_themes()
    assert "mine" in themes.names
    assert next(theme for theme in themes.themes if theme.name == "light").background == "#11151a"
    assert len(themes.problems) == 1
    assert "broken" in themes.problems[0]


def test_every_ink_has_a_rule_and_no_rule_has_a_colour_of_its_own() -> None:
    sheet = (Path(__file__).parents[2] / "swarmtui/console/console.tcss").read_text()
    for ink in INKS:
        assert f".ink--{ink} " in sheet, ink
    assert "#" not in "".join(line.split("color:")[1] for line in sheet.splitlines() if "color:" in line)


def test_the_last_choice_is_remembered(ui) -> None:
    async def choose(app, play, pilot):
        assert app.theme == "dark"
        await pilot.press("colon", *"theme paper", "enter")
        await pilot.pause()

    async def find(app, play, pilot):
        assert app.theme == "paper"

    ui(choose)
    ui(find)


def test_a_broken_theme_keeps_the_old_one_and_says_so(ui, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "swarmtui" / "themes"
    folder.mkdir(parents=True)
    monkeypatch.setattr("swarmtui.console.theming.platformdirs.user_config_path", lambda name: tmp_path / name)

    async def scene(app, play, pilot):
        await pilot.press("t")
        assert app.theme == "colour-blind"
        (folder / "broken.toml").write_text('primary = "#12"')
        await pilot.press("colon", *"theme broken", "enter")
        await pilot.pause()
        assert app.theme == "colour-blind"
        assert any("no theme broken" in str(note.message) for note in app._notifications)
        await pilot.press("t")
        assert app.theme == "high-contrast"
        assert any("theme broken:" in str(note.message) for note in app._notifications)
        await pilot.press("colon", *"theme paper", "enter")
        await pilot.pause()
        assert app.theme == "paper"

    ui(scene)

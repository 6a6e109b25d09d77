"""What tests of the console share: a rehearsed cluster, and a model that has heard it open."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from swarmtui.console.app import ConsoleApp
from swarmtui.console.model.fold import Model
from swarmtui.console.rehearsal import Rehearsal
from tests.console.begun import begun


@pytest.fixture(autouse=True)
def _calm_terminal(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """No animation, no themes of whoever runs the tests."""
    monkeypatch.setenv("TEXTUAL_ANIMATIONS", "none")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("NO_COLOR", raising=False)


class Stage:
    """A rehearsal with a model that folds everything it says at once."""

    def __init__(self) -> None:
        self.play = Rehearsal()
        self.model = Model(self.play.manifest)
        self.play.start(lambda observation: self.model.fold(observation, self.play.now))
        self.play.open()

    @property
    def now(self) -> float:
        return self.play.now

    def picture(self) -> Any:
        return self.model.picture(self.play.now)


@pytest.fixture
def stage() -> Stage:
    return Stage()


@pytest.fixture
def ui() -> Callable[..., Any]:
    """Run a scene with the application on a rehearsed cluster: `ui(scene, size=(80, 24))`, scene(app, play, pilot)."""

    def run(
        scene: Callable[..., Awaitable[None]], size: tuple[int, int] = (80, 24), *, toasts: bool = False, **options: Any
    ) -> None:
        play = Rehearsal()
        options = {"paint_interval_s": None, "utc": True, "ascii_only": False, **options}
        app = ConsoleApp(play.manifest, play, now=lambda: play.now, **options)

        async def perform() -> None:
            async with app.run_test(size=size, notifications=toasts) as pilot:
                await begun(play)
                play.open()
                play.step(0.5)
                app.paint()
                await pilot.pause()
                await scene(app, play, pilot)

        asyncio.run(perform())

    return run

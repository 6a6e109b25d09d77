"""What a class sees in an hour with the console: each scene is one in which it once showed something stale, or nothing."""

from __future__ import annotations

from tests.console.test_console_keys import shown, until


def test_the_log_goes_on_after_a_cut_that_happened_while_nobody_looked_at_it(ui) -> None:
    async def scene(app, play, pilot):
        await pilot.press("2")  # another pane stands before the log
        for _ in range(20):
            play.step(0.5, writes=5)
        play.play("partition", "n1", "n2")
        for _ in range(20):
            play.step(0.5, writes=10)
        await pilot.press("1")
        newest = play.leader.last
        await until(app, pilot, lambda: f" {newest} t8 " in shown(app))

    ui(scene)

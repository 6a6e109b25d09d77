"""trio as a guest on asyncio: what is handed over, what is awaited, and that leaving never hangs."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import trio
import trio.lowlevel

from swarmtui.console import trio_host
from swarmtui.console.trio_host import TrioHost, TrioStopped


def hosted(scene: Any) -> list[BaseException | None]:
    """Run scene(host) in asyncio with a fresh host; what `ended` was called with."""
    endings: list[BaseException | None] = []

    async def main() -> None:
        host = TrioHost(endings.append)
        try:
            await scene(host)
        finally:
            await host.stop()

    asyncio.run(main())
    return endings


def test_trio_runs_beside_asyncio_and_cleans_up_when_stopped() -> None:
    said: list[str] = []

    async def scene(host: TrioHost) -> None:
        begun = asyncio.Event()

        async def main() -> None:
            try:
                begun.set()
                await trio.sleep_forever()
            finally:
                with trio.CancelScope(shield=True):
                    await trio.sleep(0.01)
                said.append("cleaned up")

        host.start(main)
        await begun.wait()
        await host.stop()
        said.append("stopped")

    assert hosted(scene) == [None]
    assert said == ["cleaned up", "stopped"]


def test_asking_brings_back_values_and_errors() -> None:
    async def scene(host: TrioHost) -> None:
        host.start(trio.sleep_forever)

        async def seven() -> int:
            await trio.lowlevel.checkpoint()
            return 7

        async def fail() -> int:
            await trio.lowlevel.checkpoint()
            raise ValueError("no")

        assert await host.ask(seven) == 7
        with pytest.raises(ValueError, match="no"):
            await host.ask(fail)
        assert await host.ask(seven) == 7  # one failure ends nothing

    assert hosted(scene) == [None]


def test_questions_are_answered_side_by_side() -> None:
    async def scene(host: TrioHost) -> None:
        host.start(trio.sleep_forever)
        opened = trio.Event()

        async def wait() -> str:
            await opened.wait()
            return "waited"

        async def open_it() -> str:
            opened.set()
            return "opened"

        assert await asyncio.gather(host.ask(wait), host.ask(open_it)) == ["waited", "opened"]

    hosted(scene)


def test_a_failure_in_trio_is_told_and_later_questions_are_refused() -> None:
    async def scene(host: TrioHost) -> None:
        async def main() -> None:
            raise ConnectionError("gone")

        host.start(main)
        assert host._done is not None
        await host._done
        with pytest.raises(TrioStopped):
            await host.ask(trio.sleep_forever)

    (error,) = hosted(scene)
    assert isinstance(error, BaseExceptionGroup)
    assert error.subgroup(ConnectionError) is not None


def endings_seen(host: TrioHost) -> bool:
    return host._done is not None and host._done.done()


def test_a_question_open_while_leaving_is_refused_not_lost() -> None:
    async def scene(host: TrioHost) -> None:
        host.start(trio.sleep_forever)
        question = asyncio.ensure_future(host.ask(trio.sleep_forever))
        await asyncio.sleep(0)
        await host.stop()
        with pytest.raises(TrioStopped):
            await question

    assert hosted(scene) == [None]


def test_a_badly_shielded_task_cannot_hang_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trio_host, "STOP_SECONDS", 0.05)

    async def scene(host: TrioHost) -> None:
        release = trio.Event()
        begun = asyncio.Event()

        async def main() -> None:
            begun.set()
            with trio.CancelScope(shield=True):
                await release.wait()

        host.start(main)
        await begun.wait()
        await host.stop()  # returns although trio still runs
        assert not endings_seen(host)
        release.set()
        assert host._done is not None
        await host._done

    hosted(scene)

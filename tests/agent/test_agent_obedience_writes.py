"""A node died when the write behind and the write of a new term met: they shared one temporary file."""

from __future__ import annotations

from pathlib import Path

import trio

from swarmtui.agent.obedience import Obedience


async def test_orders_of_new_terms_while_the_last_one_is_being_written(tmp_path: Path) -> None:
    obedience = Obedience(tmp_path / "agent.json")
    async with trio.open_nursery() as nursery:
        for term in range(1, 30):
            nursery.start_soon(obedience.obey, term, term)
            nursery.start_soon(obedience.write)
    again = Obedience(tmp_path / "agent.json")
    assert (again.term, again.index) == (obedience.term, obedience.index)

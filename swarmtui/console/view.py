"""The view: one moment as the panes are given it, live or held."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import attrs

from swarmtui.console.model.log_book import LogBook
from swarmtui.console.model.output_book import OutputBook
from swarmtui.console.model.picture import Picture
from swarmtui.objects.events import Event


@attrs.frozen
class View:
    """`held_at`: the moment at which the view was held, None while it is live; `behind`: events since then; `shed`: observations
    that came too fast and were left out. `echo` is the
    last command line that a key or the `:` line ran, `echo_ink` how it ended."""

    picture: Picture
    log: LogBook
    events: deque[Event] | Sequence[Event]
    output: OutputBook
    now: float
    held_at: float | None = None
    behind: int = 0
    shed: int = 0
    watch: bool = False
    ascii: bool = False
    utc: bool = False
    echo: str = ""
    echo_ink: str = "echo"

"""The held view: the moment at which somebody pressed space, kept while the cluster runs on."""

from __future__ import annotations

from collections import deque

from swarmtui.console.model.fold import Model
from swarmtui.console.model.log_book import LogBook
from swarmtui.console.model.output_book import OutputBook
from swarmtui.console.model.picture import Picture
from swarmtui.objects.events import Event


class Held:
    """The view as it was when it was held."""

    def __init__(self, picture: Picture, model: Model) -> None:
        self.picture = picture
        self.log: LogBook = model.log.copy()
        self.events: deque[Event] = model.events.events.copy()
        self.output: OutputBook = model.output.copy()
        self.count = model.events.count

"""Whose output is listened to: a task, all of a service, or all on a node, as they come and go."""

from __future__ import annotations

from swarmtui.console.backend import Backend
from swarmtui.console.model.output_book import OutputBook
from swarmtui.console.model.picture import Picture
from swarmtui.console.orders import Target
from swarmtui.console.targets import tasks_of

LISTENED_MAX = 30  # tasks whose output is followed at once


class Listener:
    """Keeps the backend listening to the tasks that the target has now."""

    def __init__(self, backend: Backend, book: OutputBook) -> None:
        self.target: Target | None = None
        self._backend = backend
        self._book = book
        self._wished: list[tuple[str, str]] = []  # node name, task id

    def begin(self, target: Target, picture: Picture) -> None:
        """Forget what was heard and listen to this target."""
        self.target = target
        self._book.begin(target.name)
        self._listen(target, picture, anew=True)

    def go_on(self, picture: Picture) -> None:
        """Its tasks may have been replaced: listen to the new ones as well."""
        if self.target is not None:
            self._listen(self.target, picture, anew=False)

    def _listen(self, target: Target, picture: Picture, *, anew: bool) -> None:
        tasks = tasks_of(target, picture)[:LISTENED_MAX]
        wished = [(task.node, task.id) for task in tasks]
        if wished == self._wished and not anew:
            return
        self._wished = wished
        for task in tasks:
            label = task.name if task.name.endswith(f".{task.node}") else f"{task.name}@{task.node}"
            self._book.label(task.id, label, task.letter, task.ink)
        self._backend.listen(wished, anew=anew)

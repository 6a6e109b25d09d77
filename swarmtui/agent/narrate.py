"""How this room tells what happened."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol


class Narrate(Protocol):
    """Makes an event: its kind (`objects.events.EVENT_KINDS`), the line for people, the id it is about, and figures."""

    def __call__(
        self,
        kind: str,
        text: str,
        *,
        object: str = "",  # noqa: A002  # the field's name in an event
        data: Mapping[str, Any] | None = None,
    ) -> None: ...

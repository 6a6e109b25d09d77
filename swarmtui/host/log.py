"""`host.log`: one line an event, and whatever else this process says on standard error."""

from __future__ import annotations

import os
import time
from pathlib import Path

from swarmtui.host.files import PRIVATE_FILE
from swarmtui.objects.events import Event

HOST_LOG_BYTES_MAX = 2 * 1024 * 1024


class HostLog:
    """Appends; at HOST_LOG_BYTES_MAX the file becomes `host.log.1`. Never raises: a full disk must not end the host."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def event(self, event: Event) -> None:
        self.write(f"{event.kind}: {event.text}", event.time)

    def write(self, text: str, when: float | None = None) -> None:
        moment = time.time() if when is None else when
        clock = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(moment))
        line = f"{clock}.{int(moment * 1000) % 1000:03d} {text}\n"
        try:
            self._rotate()
            os.write(2, line.encode())
        except OSError:
            return

    def open(self) -> None:
        """Standard output and error are this file from now on. Raises OSError."""
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, PRIVATE_FILE)
        for standard in (1, 2):
            os.dup2(descriptor, standard)
        os.close(descriptor)

    def _rotate(self) -> None:
        if os.fstat(2).st_size > HOST_LOG_BYTES_MAX:
            os.replace(self._path, self._path.with_name(self._path.name + ".1"))
            self.open()

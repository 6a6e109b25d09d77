"""Seeing that a cluster has its host: used by `up`, safe to do twice at once."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import trio

from swarmtui.host.files import PRIVATE_FILE, last_line
from swarmtui.host.info import HostInfo, running_host
from swarmtui.host.layout import Layout, locate
from swarmtui.host.status import LOCKED_STATUS
from swarmtui.whereabouts import PACKAGE_PARENT

START_LIMIT_S = 20.0
LOOK_S = 0.01  # between two looks at host.json
_TIME = re.compile(r"^[\d-]+ [\d:.]+ ")  # as `log` writes it


class HostFailed(Exception):
    """The host cannot be started; one sentence with what to do."""


def host_command(directory: Path) -> Sequence[str]:
    return [sys.executable, "-m", "swarmtui.host", str(directory)]


async def ensure_host(
    directory: Path, *, command: Callable[[Path], Sequence[str]] = host_command, limit_s: float = START_LIMIT_S
) -> HostInfo:
    """The host of this `.swarmtui/`, started if there is none; returns once it listens. The host is detached: it goes on
    when we end, in a session of its own, with our environment. Raises HostFailed."""
    layout = locate(directory)
    directory = layout.directory
    started: subprocess.Popen[bytes] | None = None
    with trio.move_on_after(limit_s):
        while True:
            info = running_host(directory)
            if info is not None:
                return info
            if started is None:
                started = _spawn(layout, command(directory))
            elif (status := started.poll()) is not None:
                if status != LOCKED_STATUS:
                    raise HostFailed(_last_words(layout) or f"the host ended with status {status}")
                started = None  # another one is being started, or has not quite ended
            await trio.sleep(LOOK_S)
    raise HostFailed(f"the host does not answer after {limit_s:g} s; see {layout.host_log}")


def _last_words(layout: Layout) -> str:
    """Why it ended, as it wrote to its log, without the time of day."""
    return _TIME.sub("", last_line(layout.host_log), count=1)


async def wait_gone(directory: Path, limit_s: float) -> bool:
    """Returns when no host serves this directory any more; False if one still does after the limit."""
    with trio.move_on_after(limit_s):
        while True:
            if running_host(directory) is None:
                return True
            await trio.sleep(LOOK_S)
    return False


def _spawn(layout: Layout, command: Sequence[str]) -> subprocess.Popen[bytes]:
    if not layout.directory.is_dir():
        raise HostFailed(f"there is no cluster in {layout.directory.parent}; `swarmtui up` creates one")
    try:
        log = os.open(layout.host_log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, PRIVATE_FILE)
    except OSError as error:
        raise HostFailed(f"{layout.directory} is not writable: {error.strerror}") from None
    try:
        # The working directory is the package's, so that no file of the user's is imported by its name.
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=PACKAGE_PARENT, start_new_session=True
        )
    except OSError as error:
        raise HostFailed(f"the host cannot be started: {error.strerror}") from None
    finally:
        os.close(log)

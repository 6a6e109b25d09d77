"""The power pipe: what the host hands over at the start, and the end of it, which is a power cut.

The host keeps the writing end open for as long as it lives, however it dies. The first line is a JSON object with the link
faults in force, which are set before the peer port is opened, and with the managers' addresses.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Mapping

import attrs
import cattrs
import trio

from swarmtui.wire.node_calls import LinkFault

HANDOVER_BYTES_MAX = 1024 * 1024


class BadHandover(Exception):
    """The first line of standard input is not the host's: this process was started by hand."""


@attrs.frozen
class Handover:
    """What a node is given to start with. `managers`: where this machine's managers listen, by node id."""

    faults: tuple[LinkFault, ...] = ()
    managers: Mapping[str, str] = {}


def read_handover(fd: int) -> Handover:
    """The first line. Blocks until the host has written it. Raises BadHandover."""
    line = b""
    while not line.endswith(b"\n"):
        byte = os.read(fd, 1)
        if not byte or len(line) >= HANDOVER_BYTES_MAX:
            raise BadHandover("standard input is not the host's power pipe; start a cluster with `swarmtui up`")
        line += byte
    try:
        told = json.loads(line)
        faults = cattrs.structure(told["faults"], list[LinkFault])
        return Handover(tuple(faults), cattrs.structure(told.get("managers", {}), dict[str, str]))
    except Exception as error:
        raise BadHandover(f"the first line of standard input is no handover: {error!r}") from None


async def watch_power(fd: int) -> None:
    """Returns never: when the pipe ends this process is gone, and with it, by its launcher, every task."""
    while True:
        await trio.lowlevel.wait_readable(fd)
        if not os.read(fd, 4096):
            os.kill(os.getpid(), signal.SIGKILL)

"""What a power cut left over: nodes that have not noticed yet, nodes that were stopped when it came, tasks of either.

The nodes that run are written to `processes.json` with pid, start time and boot id. The next host ends those that still
live, and then every process that carries the cluster's mark, before it starts anything.
"""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterable, Mapping

import attrs

from swarmtui.agent.sweep import kill_marked
from swarmtui.host import processes
from swarmtui.host.identity import ProcessName
from swarmtui.host.layout import Layout
from swarmtui.storage.files import replace_file

NOTICE_S = 0.5  # a node sees the end of its power pipe and ends by itself within this


def write_processes(layout: Layout, running: Mapping[str, ProcessName]) -> None:
    """Who runs now, by node id. Not synced: after a crash of the machine nobody of them is left."""
    replace_file(
        layout.processes, json.dumps({id: attrs.asdict(name) for id, name in running.items()}).encode(), durable=False
    )


def read_processes(layout: Layout) -> dict[str, ProcessName]:
    """Who ran last; empty if that cannot be read."""
    try:
        named = json.loads(layout.processes.read_bytes())
        return {
            str(id): ProcessName(int(name["pid"]), float(name["start_time"]), str(name["boot_id"]))
            for id, name in named.items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


async def end_leftovers(ran: Iterable[ProcessName], cluster_id: str, tell: Callable[[str], object]) -> None:
    """Returns when nothing of the last run lives."""
    nodes = [process for name in ran if (process := name.find()) is not None]
    trees = [process for node in nodes for process in processes.below(node)]
    for process in [*reversed(trees), *nodes]:
        processes.send(process, signal.SIGCONT)
    await processes.wait_ended(nodes, NOTICE_S)
    for process in [*nodes, *trees]:
        if processes.send(process, signal.SIGKILL):
            tell(f"process {process.pid} was left over from the last run and is killed")
    for pid in await kill_marked(cluster_id):
        tell(f"process {pid} of a task was left over from the last run and is killed")

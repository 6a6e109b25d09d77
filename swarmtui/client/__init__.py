"""client: the typed client that everything outside a node uses: the command line, the console, and your own programs.

    async with swarmtui.connect() as cluster:
        version = await cluster.kv.put("color", "green")

What it is
    discovery  which cluster is meant, and which there are
    roster     which nodes it has now, by the file that the host keeps; links: one connection to each of them and to the
               host, dialled when it is needed and dialled again when it is lost
    cluster    the one object: ask a node, propose to whoever leads, read from the most advanced manager that answers
    delivery   writes until it is known what became of them; those of one moment in one call
    writes     one copy of them, to whoever leads; sessions: the numbers by which a second copy is known
    lookups    reads of single keys, those of one moment in one call; witnesses: who is asked beside the manager that gives the
               value, so that it need ask nobody
    together   what a moment is, for both; wishes: a task's wait for one of them; batches: keys and the tasks that wait for them
    status     everybody asked side by side: who leads, may it write, how many more may fail
    patience   waiting for what several records decide, and saying what it is that one waits for
    locks      a lock for applications, with a fencing version
    backup     the whole state in a file
    kv, services, nodes, tasks, host, events   what one asks most, as methods

Its contract
    Every write ends as done, refused or unknown, and the errors say which (`errors`, sorted by blame, each with the exit
    code of the command line). What certainly did not leave is tried with the next manager; what was sent and not answered
    is sent again as the same request of this client's session, so that it is applied once, and is Unknown only when its
    time is over. Nothing here blocks for longer than its named limit.

What it never does
    It knows nothing of a node's inside, keeps no state that a new connection would not have, and prints nothing.

The names below are imported when they are first used: whoever only asks `discovery` where a cluster is, as the console
before its first frame, does not wait for TLS and for every call there is.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from swarmtui.client.cluster import Cluster, connect
    from swarmtui.client.errors import (
        ClientError,
        Conflict,
        NoCluster,
        NoHost,
        NoLeader,
        NoQuorum,
        NotReached,
        Refused,
        Unknown,
    )
    from swarmtui.client.locks import Fence, LockHeld, LockLost

__all__ = [
    "ClientError",
    "Cluster",
    "Conflict",
    "Fence",
    "LockHeld",
    "LockLost",
    "NoCluster",
    "NoHost",
    "NoLeader",
    "NoQuorum",
    "NotReached",
    "Refused",
    "Unknown",
    "connect",
]

_HOMES = {"Cluster": "cluster", "connect": "cluster", "Fence": "locks", "LockHeld": "locks", "LockLost": "locks"}
"""The module of each name; all others are `errors`."""


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_HOMES.get(name, 'errors')}"), name)
    return value

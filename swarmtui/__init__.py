"""swarmtui: Docker swarm mode's brain in Python that one can read.

    import swarmtui

    async with swarmtui.connect() as cluster:
        version = await cluster.kv.put("color", "green")

`connect` and `Cluster` are imported when they are first used, so that `import swarmtui` costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from swarmtui.version import __version__

if TYPE_CHECKING:
    from swarmtui.client import Cluster, connect

__all__ = ["Cluster", "__version__", "connect"]


def __getattr__(name: str) -> Any:
    if name in ("Cluster", "connect"):
        import swarmtui.client

        return getattr(swarmtui.client, name)
    raise AttributeError(f"module 'swarmtui' has no attribute {name!r}")

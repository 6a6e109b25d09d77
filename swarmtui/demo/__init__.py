"""demo: the packaged default cluster and the small programs that it runs, each under 40 lines.

They are what a user's own program would be: started as tasks, told who they are by their environment, knowing nothing of
swarmtui but (the ticker) its client. Seven nodes start a dozen of them at once, so they import little.
"""

from __future__ import annotations

from pathlib import Path

from swarmtui.whereabouts import PACKAGE_PARENT


def default_cluster_file() -> Path:
    """The cluster.toml that `up` takes where there is none: beside this file when installed, in the root of a clone."""
    installed = Path(__file__).with_name("cluster.toml")
    return installed if installed.exists() else PACKAGE_PARENT / "cluster.toml"

"""An agent whose tasks are processes, put together."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from swarmtui.agent.agent import Agent
from swarmtui.agent.environment import Surroundings
from swarmtui.agent.launcher import LauncherLink
from swarmtui.agent.narrate import Narrate
from swarmtui.agent.process_executor import ProcessExecutor
from swarmtui.agent.session import SessionConnector
from swarmtui.objects.manifest import Manifest, NodeEntry


def build_process_agent(
    *,
    manifest: Manifest,
    node: NodeEntry,
    directory: Path,
    launcher: LauncherLink,
    connect: SessionConnector,
    narrate: Narrate,
    environment: Mapping[str, str] | None = None,
) -> Agent:
    """`directory` is the node's, `.swarmtui/nodes/NAME`. `environment` is that of the shell that ran `up`: by default this
    process's own. Raises `obedience.DamagedState` for an agent.json that cannot be read."""
    around = Surroundings(manifest, node, directory.absolute(), os.environ if environment is None else environment)
    return Agent(
        node=node,
        cluster_id=manifest.id,
        directory=around.directory,
        executor=ProcessExecutor(around, launcher),
        connect=connect,
        narrate=narrate,
        launcher=launcher,
    )

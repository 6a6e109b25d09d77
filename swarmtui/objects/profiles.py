"""The three profiles: how fast a cluster judges, and what it is for.

`fast` finds a death at once and is the default; `classroom` is slow enough to watch an election; `docker` is what Docker
swarm mode does. Single values of a cluster file override them.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from swarmtui.objects.manifest import RaftSettings


@attrs.frozen(kw_only=True)
class Profile:
    """Seconds throughout. `raft.hurry`: a refused dial hurries an election, and a death is Down at once."""

    raft: RaftSettings
    agent_heartbeat_s: float
    node_timeout_s: float
    restart_delay_s: float
    restart_delay_after_death_s: float


PROFILES: Mapping[str, Profile] = {
    "fast": Profile(
        raft=RaftSettings(heartbeat_s=0.1, election_timeout_s=0.5, hurry=True),
        agent_heartbeat_s=1.0,
        node_timeout_s=3.0,
        restart_delay_s=1.0,
        restart_delay_after_death_s=0.0,
    ),
    "classroom": Profile(
        raft=RaftSettings(heartbeat_s=0.5, election_timeout_s=3.0, hurry=False),
        agent_heartbeat_s=1.0,
        node_timeout_s=3.0,
        restart_delay_s=1.0,
        restart_delay_after_death_s=0.0,
    ),
    "docker": Profile(
        raft=RaftSettings(heartbeat_s=1.0, election_timeout_s=10.0, hurry=False),
        agent_heartbeat_s=5.0,
        node_timeout_s=15.0,
        restart_delay_s=5.0,
        restart_delay_after_death_s=5.0,
    ),
}
"""By name. Election timeouts are drawn from [1x, 2x)."""

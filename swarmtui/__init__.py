"""swarmtui: Docker swarm mode's brain in Python that one can read."""

__version__ = "0.1.0"

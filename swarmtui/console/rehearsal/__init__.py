"""A rehearsal: a small cluster that exists on the screen only, scripted and deterministic.

For pictures, tests and trying a theme where no cluster runs. It implements the console's Backend, moves only when `step` is
called, and knows just enough of Raft to stay legal: terms never fall along a log, and what is committed stays.
"""

from swarmtui.console.rehearsal.cast import BEGAN, rehearsal_manifest
from swarmtui.console.rehearsal.play import Rehearsal

__all__ = ["BEGAN", "Rehearsal", "rehearsal_manifest"]

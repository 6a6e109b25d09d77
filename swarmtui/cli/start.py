"""Starting and ending an order fast.

What is imported stays until the process ends: nobody looks for garbage in it, neither while it is made nor, as Python
otherwise does with every object there is, at the very end. Together that is a fifth of the time that `swarmtui ps` takes.
"""

from __future__ import annotations

import atexit
import gc


def main() -> int:
    """The console script and `python -m swarmtui`: see `main.main`."""
    gc.disable()
    from swarmtui.cli.main import main as obey

    gc.freeze()
    gc.enable()  # an order may run for days, as `events --follow`
    atexit.register(gc.freeze)
    return obey()

"""Opening the console fast: nothing that is made before the first frame is garbage, so nobody looks for any until then.

Hundreds of thousands of objects come from the imports of Textual and of this package and stay for ever; looking through
them again and again costs a seventh of the time to the first frame. With the first frame they are put aside for good,
which also keeps a later collection from holding up a key.
"""

from __future__ import annotations

import gc
from pathlib import Path


def open_console(directory: Path, watch: bool = False) -> int:
    """See `app.run_console`."""
    gc.disable()
    try:
        from swarmtui.console.app import run_console

        return run_console(directory, watch)
    finally:
        gc.enable()


def first_frame_shown() -> None:
    """From here on garbage is collected, what stands is none."""
    if not gc.isenabled():
        gc.freeze()
        gc.enable()

"""Opening the console fast.

Nothing that is made before the first frame is garbage, so nobody looks for any until then: hundreds of thousands of objects
come from the imports of Textual and of this package and stay for ever, and looking through them again and again costs a
seventh of the time to the first frame. With the first frame they are put aside for good, which also keeps a later collection
from holding up a key.

The client is imported behind the first frame. Its calls, trio and TLS cost a third of that time, and all that the frame
shows is in `cluster.json`: the names of the nodes, of which nothing is known yet.
"""

from __future__ import annotations

import gc
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from swarmtui.console.backend import Backend


def open_console(directory: Path, watch: bool = False) -> int:
    """Open the console on the cluster of this `.swarmtui/`; the exit code when it was left.

    With `watch` it shows the observer's certificate, and no key changes anything. The cluster keeps running.
    """
    gc.disable()
    try:
        return _run(directory, watch)
    finally:
        gc.enable()


def first_frame_shown() -> None:
    """From here on garbage is collected, what stands is none."""
    if not gc.isenabled():
        gc.freeze()
        gc.enable()


def _run(directory: Path, watch: bool) -> int:
    from swarmtui.client.discovery import read_manifest
    from swarmtui.client.errors import NoCluster
    from swarmtui.console.app import ConsoleApp
    from swarmtui.console.hangup import hang_up_with_the_terminal
    from swarmtui.console.late import LateBackend

    def link() -> Backend:
        from swarmtui.console.cluster_link import ClusterLink

        return ClusterLink(directory, role="observer" if watch else "admin")

    try:
        manifest = read_manifest(directory)
    except NoCluster as error:
        sys.stderr.write(f"swarmtui: {error}\n")
        return error.exit_code
    app = ConsoleApp(manifest, LateBackend(link), watch=watch)
    hang_up_with_the_terminal()
    app.run()
    code = app.return_code or 0
    if code == 0:
        sys.stdout.write(f"{manifest.name} keeps running; swarmtui console comes back, swarmtui down stops it\n")
    return code

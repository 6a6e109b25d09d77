"""A real host whose real nodes' disks can be made to hang: `python -m tests.cluster.hanging_disk DIRECTORY`.

While `nodes/NAME/disk hangs` exists, no sync of that node's log or snapshots returns, as with a dying drive or a frozen
network file system. Everything else of the node is as it is.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path

FILE = "disk hangs"
LOOK_S = 0.005


def main(arguments: list[str]) -> int:
    """One node: what the host's foundry runs in place of `swarmtui.node`."""
    from swarmtui.node.__main__ import main as run_node
    from swarmtui.storage.files import RealFile

    hangs = Path(arguments[0]) / FILE
    sync, write_durably_at = RealFile.sync, RealFile.write_durably_at

    def wait() -> None:
        while hangs.exists():
            time.sleep(LOOK_S)

    def sync_when_it_may(self: RealFile) -> None:
        wait()
        sync(self)

    def write_durably_when_it_may(self: RealFile, data: bytes, offset: int) -> None:
        wait()
        write_durably_at(self, data, offset)

    RealFile.sync = sync_when_it_may  # type: ignore[method-assign]
    RealFile.write_durably_at = write_durably_when_it_may  # type: ignore[method-assign]
    return run_node(arguments)


def node_command(directory: Path) -> Sequence[str]:
    """Where there is no foundry."""
    program = "import sys; from tests.cluster.hanging_disk import main; sys.exit(main(sys.argv[1:]))"
    return [sys.executable, "-c", program, str(directory)]


if __name__ == "__main__":
    from swarmtui.host.main import main as run_host

    sys.exit(run_host(sys.argv[1:], command=node_command, program="tests.cluster.hanging_disk"))

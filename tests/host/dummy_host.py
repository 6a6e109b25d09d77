"""The real host with dummy nodes: `python -m tests.host.dummy_host [--fresh] DIRECTORY`."""

from __future__ import annotations

import sys

from swarmtui.host.main import main
from tests.host.helpers import dummy_command

if __name__ == "__main__":
    program = "" if "--fresh" in sys.argv else "tests.host.dummy_node"
    sys.exit(main(sys.argv[-1:], command=dummy_command, program=program, warm=()))

"""The host as a program; see `main`."""

import sys

from swarmtui.host.main import main

sys.exit(main(sys.argv[1:]))

"""`python -m swarmtui` is the command line."""

import sys

from swarmtui.cli.main import main

sys.exit(main())

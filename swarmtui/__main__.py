"""`python -m swarmtui` is the command line."""

import sys

from swarmtui.cli.start import main

sys.exit(main())

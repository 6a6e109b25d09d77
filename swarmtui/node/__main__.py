"""The process of one node: `python -m swarmtui.node DIRECTORY`, started by the host with the power pipe on standard input.

The launcher of the tasks is started first, before any thread and before trio. Ends with 0 after an orderly stop, 3 if the
directory cannot be used (the last line says why), 1 if the disk or an invariant failed.
"""

from __future__ import annotations

import gc
import logging
import sys
import traceback
from pathlib import Path

from swarmtui.agent.launcher import start_launcher

EXIT_FAILED = 1


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        print("usage: python -m swarmtui.node DIRECTORY (started by `swarmtui up`)", file=sys.stderr)
        return 2
    directory = Path(arguments[0])
    launcher = start_launcher(directory.name)

    from swarmtui.causes import innermost
    from swarmtui.node.run import CannotStart, run
    from swarmtui.storage.errors import UNUSABLE_STATUS

    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s %(message)s", level=logging.INFO, stream=sys.stderr)
    gc.freeze()
    gc.set_threshold(10_000, 100, 50)  # the youngest are looked through in a few ms; all of a million keys once in 50 M
    try:
        run(directory, launcher)
    except CannotStart as error:
        print(error, file=sys.stderr)
        return UNUSABLE_STATUS
    except BaseException as error:
        traceback.print_exc()
        cause = innermost(error)
        print(f"{type(cause).__name__}: {cause}".replace("\n", " "), file=sys.stderr)
        return EXIT_FAILED
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""flaky: works for a while, then fails and says why. There to be restarted."""

import os
import random
import sys
import time

REASONS = (
    "connection to database lost: 127.0.0.1:5432 refused",
    "upstream answered 503 three times in a row",
    "cache is full: 1024 of 1024 entries",
    "unexpected end of file in orders.csv line 1733",
)


def main() -> None:
    print(f"{os.environ.get('SWARMTUI_NODE', 'here')}: working, for now")
    time.sleep(random.uniform(20, 40))
    sys.exit(random.choice(REASONS))  # on standard error, with status 1


if __name__ == "__main__":
    main()

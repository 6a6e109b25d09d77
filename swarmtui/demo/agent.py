"""agent: one on every node; now and then it says how busy the machine is."""

import os
import time

PERIOD_S = 30


def main() -> None:
    while True:
        one, five, fifteen = os.getloadavg()
        print(f"{os.environ.get('SWARMTUI_NODE', 'here')}: load {one:.2f} {five:.2f} {fifteen:.2f}")
        time.sleep(PERIOD_S)


if __name__ == "__main__":
    main()

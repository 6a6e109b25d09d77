"""Python's threads take turns every few steps instead of every 5 ms, in every process that finds this on its path.

What two threads must not do at once comes about within seconds; with turns as they are it took minutes of full load.
"""

import sys

TURN_S = 1e-5

sys.setswitchinterval(TURN_S)

"""Memory that was freed, back to the machine.

The C library keeps what a program frees, for its next wish, one heap for each thread. What was freed all at once here is
much, and not wished for soon again: the log's entries that a snapshot took the place of, what recovery read in its thread,
the tables of a state that was replaced. A manager with 100,000 keys kept 80 to 100 MB of it, as much as its keys take.

Only glibc has the call; elsewhere nothing happens. Python's own small blocks are not in these heaps: it returns those itself.
"""

from __future__ import annotations

import ctypes

_malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)


def give_back() -> None:
    """For a thread beside the event loop. It holds no lock of the interpreter, but the heap's own: whoever wants more than a
    kilobyte meanwhile waits, some 0.15 ms for each MB that goes back, and longer where the processors are busy."""
    if _malloc_trim is not None:
        _malloc_trim(0)

"""Which process is meant: a pid alone is a number that the system gives to the next one.

A process is named by pid, start time and boot id; nothing is believed of, or sent to, a process that does not agree in
all three.
"""

from __future__ import annotations

import subprocess
import sys
from functools import cache
from pathlib import Path

import attrs
import psutil

START_TIME_TOLERANCE_S = 2.0  # the wall clock may be set while a process runs, and its start is reckoned from it


@cache
def boot_id() -> str:
    """A text that is new after every boot of this machine."""
    linux = Path("/proc/sys/kernel/random/boot_id")
    if linux.exists():
        return linux.read_text().strip()
    if sys.platform == "darwin":
        asked = subprocess.run(["/usr/sbin/sysctl", "-n", "kern.bootsessionuuid"], capture_output=True, text=True)
        if asked.returncode == 0 and asked.stdout.strip():
            return asked.stdout.strip()
    return f"boot at {psutil.boot_time():.0f}"


@attrs.frozen
class ProcessName:
    """One process for all time. `start_time` in seconds since the epoch, as psutil reckons it."""

    pid: int
    start_time: float
    boot_id: str

    @classmethod
    def of(cls, pid: int) -> ProcessName | None:
        """The name of a process that lives now; None if none has this pid."""
        try:
            return cls(pid, psutil.Process(pid).create_time(), boot_id())
        except psutil.Error:
            return None

    def find(self) -> psutil.Process | None:
        """The living process of this name (a zombie is not alive). What it returns checks itself before every signal."""
        if self.boot_id != boot_id() or self.pid <= 1:
            return None
        try:
            process = psutil.Process(self.pid)
            if abs(process.create_time() - self.start_time) > START_TIME_TOLERANCE_S:
                return None
            return None if process.status() == psutil.STATUS_ZOMBIE else process
        except psutil.Error:
            return None

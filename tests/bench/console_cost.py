"""What the console costs: first frame, processor time at 1,000 events a second, and how soon a key is answered.

    python -m tests.bench.console_cost [events a second] [seconds]

Runs the real application in a terminal of its own (a pty of 160x48), on a rehearsed cluster that is fed from within the same
process, so its own cost of making events is counted too.
"""

from __future__ import annotations

import argparse
import fcntl
import gc
import json
import os
import pty
import resource
import select
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
COLUMNS, ROWS = 160, 48
HELP_TEXT = b"Keys and signs"
KEYS_PRESSED = 10


def child(rate: float, seconds: float, report: Path) -> None:
    """The application, feeding itself."""
    import asyncio

    gc.disable()  # as `open_console` does

    from swarmtui.console.app import ConsoleApp
    from swarmtui.console.rehearsal import Rehearsal

    class Fed(Rehearsal):
        def start(self, sink) -> None:
            super().start(sink)
            self.open()
            self.feeder = asyncio.get_running_loop().create_task(self.feed())

        async def feed(self) -> None:
            began, used = time.monotonic(), time.process_time()
            made = 0
            while time.monotonic() - began < seconds:
                self.now = time.time()
                due = int((time.monotonic() - began) * rate)
                while made < due:
                    made += 1
                    if made % 5 == 0:
                        self.step(0.0, writes=1)
                        made += len(self.actors) - 1
                    else:
                        self.event("n1", "task", f"task web.{made % 5} running on n2 pid {made}", term=7, index=made)
                await asyncio.sleep(0.01)
            self.cost = (time.process_time() - used) / (time.monotonic() - began)
            self.made = made

    play = Fed()
    ConsoleApp(play.manifest, play, now=time.time).run()
    used_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    report.write_text(json.dumps({"cpu": play.cost, "events": play.made, "rss_kb": used_kb}))


class Terminal:
    """A pty with the application in it."""

    def __init__(self, arguments: list[str]) -> None:
        self.began = time.monotonic()
        main, side = pty.openpty()
        fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        environment = {
            **os.environ,
            "TERM": "xterm-256color",
            "COLORTERM": "truecolor",
            "LANG": "C.UTF-8",
            "PYTHONPATH": str(ROOT),
        }
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--child", *arguments],
            stdin=side,
            stdout=side,
            stderr=side,
            env=environment,
            cwd=ROOT,
        )
        os.close(side)
        self.main = main
        self.bytes_read = 0

    def until(self, text: bytes, limit_s: float) -> float:
        """Seconds until the text has come out."""
        began, seen = time.monotonic(), b""
        while time.monotonic() - began < limit_s:
            if select.select([self.main], [], [], 0.05)[0]:
                piece = os.read(self.main, 65536)
                self.bytes_read += len(piece)
                seen = seen[-2000:] + piece
                if text in seen:
                    return time.monotonic() - began
        raise SystemExit(f"{text!r} did not come within {limit_s} s")

    def drain(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if select.select([self.main], [], [], left)[0]:
                try:
                    self.bytes_read += len(os.read(self.main, 65536))
                except OSError:  # EIO: it has ended, as Linux says it
                    return


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rate", type=float, nargs="?", default=1000.0, help="events a second (1000)")
    parser.add_argument("seconds", type=float, nargs="?", default=10.0, help="for how long (10)")
    arguments = parser.parse_args()
    rate, seconds = arguments.rate, arguments.seconds
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        terminal = Terminal([str(rate), str(seconds), str(report)])
        terminal.until(b"up, 3 needed", 30)
        first_frame = time.monotonic() - terminal.began
        answers = []
        for _ in range(KEYS_PRESSED):
            terminal.drain(seconds / KEYS_PRESSED / 2)
            os.write(terminal.main, b"?")
            answers.append(terminal.until(HELP_TEXT, 10))
            os.write(terminal.main, b"\r")
        terminal.drain(max(0.0, first_frame + seconds + 1.0 - (time.monotonic() - terminal.began)))
        written = terminal.bytes_read
        os.write(terminal.main, b"q")
        terminal.drain(1.0)
        status = terminal.process.wait(10)
        found = json.loads(report.read_text())
    print(f"first frame after        {first_frame * 1000:6.0f} ms, from starting the interpreter (budget 700)")
    print(f"observations             {found['events'] / seconds:6.0f} a second for {seconds:.0f} s")
    print(f"processor time           {found['cpu'] * 100:6.1f} % of a core (budget 30)")
    print(
        f"a key is answered after  {statistics.median(answers) * 1000:6.0f} ms in the median, {max(answers) * 1000:.0f} at worst (budget 100)"
    )
    print(f"written to the terminal  {written / 1024 / seconds:6.0f} KiB a second")
    print(f"memory                   {found['rss_kb'] / 1024:6.0f} MiB at most; exit status {status}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(float(sys.argv[2]), float(sys.argv[3]), Path(sys.argv[4]))
    else:
        main()

"""`host.json`: which host serves this cluster directory, and where. Written once it listens, and again whenever it is not
there any more; believed only while that very process lives."""

from __future__ import annotations

import json
from pathlib import Path

import attrs

from swarmtui.host.identity import ProcessName
from swarmtui.host.layout import Layout
from swarmtui.storage.files import replace_file


@attrs.frozen
class HostInfo:
    """`address` is where the host's TLS port listens, "127.0.0.1:40123"."""

    pid: int
    start_time: float
    boot_id: str
    address: str

    @property
    def process(self) -> ProcessName:
        return ProcessName(self.pid, self.start_time, self.boot_id)


def write_info(layout: Layout, info: HostInfo) -> None:
    replace_file(layout.host_info, json.dumps(attrs.asdict(info)).encode() + b"\n")


def read_info(layout: Layout) -> HostInfo | None:
    """What `host.json` says; None if it is not there, or damaged."""
    try:
        fields = json.loads(layout.host_info.read_bytes())
        return HostInfo(int(fields["pid"]), float(fields["start_time"]), str(fields["boot_id"]), str(fields["address"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def running_host(directory: Path) -> HostInfo | None:
    """The host that serves this directory now; None if there is none, or if `host.json` is the leftover of a crash."""
    info = read_info(Layout(directory))
    return info if info is not None and info.process.find() is not None else None

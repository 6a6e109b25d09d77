"""Fixtures of the host's tests: a created cluster whose host and nodes are gone when the test ends."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from swarmtui.host.create import create_cluster
from swarmtui.host.info import running_host
from swarmtui.host.layout import Layout
from swarmtui.host.leftovers import read_processes
from tests.host.helpers import Machine, marked, small_file

ENDING_S = 5.0  # of a killed process


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    """A cluster of one test: two managers and a worker, not started."""
    yield from _machine(tmp_path)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A cluster of all tests of a module, each of which begins with `up`."""
    yield from _machine(tmp_path_factory.mktemp("shared"))


def _machine(base: Path) -> Iterator[Machine]:
    manifest = create_cluster(small_file(2, 1), base)
    layout = Layout(base / ".swarmtui")
    yield Machine(layout, manifest)
    info = running_host(layout.directory)
    if info is not None:
        os.kill(info.pid, signal.SIGKILL)
    for name in read_processes(layout).values():
        process = name.find()
        if process is not None:
            process.kill()
    _end_all_in(base)
    while left := marked(manifest.id):  # one of them may have started another since it was looked for
        for process in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(left, timeout=ENDING_S)


def _end_all_in(base: Path) -> None:
    """Hosts and nodes of this directory that no file names: one of several hosts started at once may have come late."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if any(word.startswith(f"{base}/") for word in process.cmdline()):
                process.kill()

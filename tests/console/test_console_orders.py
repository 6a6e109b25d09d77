"""The words after `:` do what they do in the shell."""

from pathlib import Path

import pytest

from swarmtui.console.order_runner import run_order
from swarmtui.objects.records import Service
from tests.commands.fakes import FakeCluster


async def test_a_variable_of_the_shell_that_the_console_runs_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = FakeCluster(tmp_path / ".swarmtui")
    monkeypatch.setenv("FOO", "from the shell")
    words = ("service", "create", "-d", "--name", "web", "-e", "FOO", "--", "sleep", "100")
    answer = await run_order(cluster, words)  # type: ignore[arg-type]
    assert answer.exit_code == 0
    service = cluster.store.by_name(Service, "web")
    assert service is not None
    assert service.spec.task_template.container_spec.env == ("FOO=from the shell",)

"""One order from words to exit code: what stands where, and that nothing ever prints a traceback."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest

from swarmtui.cli import main as cli_main
from swarmtui.cli.grammar import UsageProblem, parse, split_line
from swarmtui.cli.terminal import Terminal
from swarmtui.commands.output import Document, Failure, Inspection, Line, Note, Progress, SlotMark, SlotProgress
from swarmtui.objects.records import Service
from tests.commands.fake_answers import FakeNoQuorum, FakeRefused, FakeUnknown
from tests.commands.fake_machine import FakeMachine
from tests.commands.fakes import FakeCluster


@attrs.frozen
class Outcome:
    code: int
    out: str
    error: str


Swarmtui = Callable[..., Outcome]


@pytest.fixture
def machine(tmp_path: Path) -> FakeMachine:
    machine = FakeMachine(tmp_path)
    machine.cluster = FakeCluster(tmp_path / ".swarmtui")
    machine.cluster.play = FakeCluster.run_services
    return machine


@pytest.fixture
def swarmtui(machine: FakeMachine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Swarmtui:
    monkeypatch.chdir(tmp_path)

    def run(line: str) -> Outcome:
        out, error = io.StringIO(), io.StringIO()
        try:
            parsed = parse(split_line(line))
        except UsageProblem as problem:
            return Outcome(2, "", f"swarmtui: {problem}\n")
        terminal = Terminal(out, error, form=parsed.format, quiet=parsed.arguments.flag("quiet"))
        code = cli_main.run(parsed, terminal, machine)
        return Outcome(code, out.getvalue(), error.getvalue())

    return run


def test_done_is_0_and_only_the_answer_is_on_standard_output(swarmtui):
    outcome = swarmtui("kv put color green")
    assert (outcome.code, outcome.error) == (0, "")
    assert outcome.out.strip().isdecimal()
    assert swarmtui("kv get color").out == "green"


def test_golden_texts_of_a_service(swarmtui, machine):
    assert swarmtui("service create -d --name web --replicas 2 -p 8080:auto app:1 -- sleep 100").code == 0
    id = machine.cluster.store.by_name(Service, "web").id
    first, second = swarmtui("service ls").out.splitlines()
    assert first == "ID             NAME      MODE         REPLICAS   IMAGE     PORTS"
    assert second == f"{id[:12]}   web       replicated   2/2        app:1     *:8080->auto/tcp"
    assert swarmtui("service ls --format json").out == (
        f'{{"ID":"{id[:12]}","Name":"web","Mode":"replicated","Replicas":"2/2","Image":"app:1",'
        '"Ports":"*:8080->auto/tcp"}\n'
    )
    assert swarmtui("service ls -q").out == f"{id[:12]}\n"
    assert swarmtui(r"service ls --format '{{.Name}}\t{{.Replicas}}'").out == "web\t2/2\n"
    heading, *rows = swarmtui("service ps web").out.splitlines()
    assert heading.split("  ")[0] == "ID"
    assert "DESIRED STATE" in heading
    assert len(rows) == 2
    inspected = swarmtui("service inspect web").out
    assert inspected.startswith('[\n    {\n        "ID": "')
    assert swarmtui("service inspect --format '{{.Spec.Name}}' web").out == "web\n"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (FakeRefused("taken; choose another"), 1),
        (FakeUnknown("unknown; read it again"), 3),
        (FakeNoQuorum("no quorum"), 4),
    ],
)
def test_expected_errors_are_one_line_and_their_code(swarmtui, machine, error, code):
    machine.cluster.fails = error
    outcome = swarmtui("kv put a b")
    assert outcome == Outcome(code, "", f"swarmtui: {error}\n")


def test_no_cluster_is_4(swarmtui, machine):
    machine.cluster = None
    outcome = swarmtui("status")
    assert outcome.code == 4
    assert outcome.error == "swarmtui: no cluster here; start one with: swarmtui up\n"


def test_wrong_usage_is_2_even_when_found_later(swarmtui):
    assert swarmtui("service ls --filter x=y").code == 2
    assert swarmtui("service ls --format {{.Nope}}").code == 0  # there is no row to ask for the field
    swarmtui("service create -d --name web -- sleep 1")
    outcome = swarmtui("service ls --format {{.Nope}}")
    assert outcome.code == 2
    assert "there is no field .Nope; there are ID, Name" in outcome.error


def test_some_failed_says_each_once_and_is_1(swarmtui):
    swarmtui("kv put b 1")
    outcome = swarmtui("kv delete a b")
    assert outcome.code == 1
    assert outcome.out == "b\n"
    assert outcome.error.count("swarmtui: ") == 1
    assert outcome.error.count("\n") == 1


def test_an_unexpected_error_is_one_line_and_a_file(swarmtui, machine, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    machine.cluster.fails = ZeroDivisionError("oh\nno")
    outcome = swarmtui("kv put a b")
    assert outcome.code == 1
    assert outcome.error.startswith("swarmtui: internal error: ZeroDivisionError: oh; details are in ")
    assert outcome.error.count("\n") == 1
    details = next(tmp_path.glob("swarmtui-error-*.txt")).read_text()
    assert "Traceback" in details


def test_an_interrupted_wait_says_that_it_goes_on(swarmtui, machine):
    def interrupt(*_: Any, **__: Any) -> Any:
        raise KeyboardInterrupt

    swarmtui("service create -d --name web -- sleep 1")
    machine.cluster.play = interrupt
    outcome = swarmtui("service scale web=3")
    assert outcome.code == 130
    assert "continues in the background" in outcome.error
    assert "Traceback" not in outcome.error


def test_bare_swarmtui_without_a_terminal_shows_help(swarmtui):
    outcome = swarmtui("")
    assert outcome.code == 0
    assert outcome.out.startswith("Usage:  swarmtui COMMAND")


def test_the_cluster_variable_names_a_cluster(swarmtui, monkeypatch):
    monkeypatch.setenv("SWARMTUI_CLUSTER", "other")
    assert swarmtui("status").code == 4
    assert swarmtui("status --cluster dev").code == 0
    monkeypatch.setenv("SWARMTUI_CLUSTER", "dev")
    assert swarmtui("status").code == 0


def test_stale_views_are_0_with_a_line_on_standard_error(swarmtui, machine):
    swarmtui("service create -d --name web -- sleep 1")
    machine.cluster.stale, machine.cluster.leader = True, None
    outcome = swarmtui("service ls --format json")
    assert outcome.code == 0
    assert outcome.out.rstrip().endswith('"Stale":true}')
    assert outcome.error.startswith("stale: no quorum, ")
    assert swarmtui("service ls --consistent").code == 4


# -------------------------------------------------------------------------------------------------------------- terminals


def terminal(**how: Any) -> Terminal:
    return Terminal(io.StringIO(), io.StringIO(), **how)


def test_progress_redraws_on_a_terminal_and_is_said_once_elsewhere():
    slots = (SlotProgress("1", SlotMark.RUNNING, "running"), SlotProgress("2", SlotMark.FAILED, "no suitable node"))
    progress = Progress("web", slots, 1, 2)
    drawn = terminal(redraws=True, colours=True)
    drawn.show(progress)
    drawn.show(attrs.evolve(progress, running=2, done=True))
    text = drawn.error.getvalue()
    assert "overall progress: 1 out of 2 tasks\n" in text
    assert "\x1b[31m2:        no suitable node\x1b[0m\n" in text
    assert "\x1b[3F\x1b[J" in text
    assert drawn.out.getvalue() == ""
    piped = terminal()
    for _ in range(3):
        piped.show(progress)
    assert piped.error.getvalue() == "web: 1 of 2 ready\n"
    piped.show(attrs.evolve(progress, slots=(*slots, SlotProgress("3", SlotMark.MOVING, "failed: no", trouble=True))))
    assert piped.error.getvalue().endswith("web: 1 of 2 ready (3: failed: no)\n")
    nodes = terminal(redraws=True)
    nodes.show(Progress("demo", (), 5, 7, unit="nodes"))
    assert nodes.error.getvalue() == "overall progress: 5 out of 7 nodes\n"
    many = attrs.evolve(progress, slots=slots * 20)
    few = terminal(redraws=True)
    few.show(many)
    assert few.error.getvalue().count("\n") == 1


def test_progress_is_wiped_before_anything_else_is_said():
    drawn = terminal(redraws=True, width=20)
    drawn.show(Progress("web", (), 1, 200, text="a long text that would wrap around"))
    drawn.show(Note("stale"))
    assert drawn.error.getvalue() == "overall progress: 1\n\x1b[1F\x1b[Jstale\n"


def test_what_a_task_said_last_sends_nothing_to_a_terminal_of_its_own():
    """The last words of a failed task stand in notes, refusals and progress."""
    words = "web: non-zero exit (3): \x1b[31mred\ra"
    slots = (SlotProgress("1", SlotMark.FAILED, words, trouble=True),)
    for redraws in (False, True):
        shown = terminal(redraws=redraws)
        shown.show(Progress("web", slots, 0, 1))
        shown.show(Progress("web", (), 0, 1, text=words))
        shown.show(Note(words))
        shown.show(Failure(words))
        shown.fail(words)
        said = shown.error.getvalue().replace("\x1b[2F\x1b[J", "").replace("\x1b[1F\x1b[J", "")
        assert said.count("non-zero exit (3):  [31mred a") == 5, said
        assert all(letter.isprintable() or letter == "\n" for letter in said)


def test_items_in_every_format():
    line, document = Line("x"), Document({"a": 1}, "text")
    for form, expected in ((None, "x\ntext\n"), ("json", '{"Name":"x"}\n{"a":1}\n'), ("plain", "x\ntext\n")):
        from swarmtui.cli.formats import parse_format

        shown = terminal(form=parse_format(form))
        shown.show(line)
        shown.show(document)
        shown.show(Failure("broken"))
        assert shown.out.getvalue() == expected
        assert shown.error.getvalue() == "swarmtui: broken\n"


def test_lines_of_standard_error_stay_there():
    shown = terminal()
    shown.show(Document({}, "oops", to_error=True))
    assert (shown.out.getvalue(), shown.error.getvalue()) == ("", "oops\n")


def test_a_value_gets_its_line_s_end_on_a_terminal_only():
    for width, text in ((None, "v"), (80, "v\n")):
        shown = terminal(width=width)
        shown.show(Document({}, data=b"v"))
        assert shown.out.getvalue() == text


def test_inspections_are_an_array():
    shown = terminal()
    shown.show(Inspection([]))
    assert shown.out.getvalue() == "[]\n"


# ---------------------------------------------------------------------------------------------------- as a real process


def run_process(*words: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    env = {**os.environ, **environment}
    return subprocess.run([sys.executable, "-m", "swarmtui", *words], capture_output=True, env=env, check=False)


def test_help_starts_without_textual_and_without_the_client():
    code = (
        "import sys; from swarmtui.cli.main import main; main(['--help']);"
        "print([name for name in sys.modules if name.split('.')[0] in ('textual', 'rich', 'asyncio', 'cryptography')],"
        " file=sys.stderr)"
    )
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert process.stderr.strip() == b"[]"


def test_mistakes_and_versions_as_a_process():
    process = run_process("statsu")
    assert process.returncode == 2
    assert process.stdout == b""
    assert process.stderr == b"swarmtui: there is no command 'statsu'; did you mean 'status'? See 'swarmtui --help'\n"
    assert run_process("--version").stdout.startswith(b"swarmtui ")


def test_a_reader_that_has_had_enough_is_no_error():
    script = f"{sys.executable} -m swarmtui --help | head -1; echo ${{PIPESTATUS[0]}}"
    process = subprocess.run(["bash", "-c", script], capture_output=True, check=True)
    assert process.stdout.splitlines()[-1] == b"0"
    assert process.stderr == b""


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("words", ["--help", "ls", "ls --format json"])
def test_closed_standard_streams_are_no_error(words: str, closed: str, tmp_path):
    script = f"{sys.executable} -m swarmtui {words} {closed}"
    env = {**os.environ, "XDG_STATE_HOME": str(tmp_path)}
    process = subprocess.run(["bash", "-c", script], capture_output=True, check=False, env=env)
    assert (process.returncode, process.stderr) == (0, b"")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
@pytest.mark.parametrize("words", ["--help", "ls"])
def test_output_that_cannot_be_written_is_one_line(words: str):
    script = f"{sys.executable} -m swarmtui {words} >/dev/full"
    process = subprocess.run(["bash", "-c", script], capture_output=True, check=False)
    assert process.returncode == 1
    assert process.stderr == b"swarmtui: the output cannot be written: No space left on device\n"


def test_a_stream_that_cannot_say_it_replaces_letters():
    code = (
        "from swarmtui.cli.terminal import shell_terminal; from swarmtui.cli.formats import Format;"
        "from swarmtui.commands.output import Line;"
        "shell_terminal(Format(), quiet=False, environment={}).show(Line('caf\\u00e9 \\u2026'))"
    )
    env = {**os.environ, "PYTHONIOENCODING": "ascii"}
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, env=env, check=True)
    assert process.stdout == b"caf? ?\n"


def test_json_stays_whole_where_a_stream_is_ascii():
    code = (
        "from swarmtui.cli.terminal import shell_terminal; from swarmtui.cli.formats import parse_format;"
        "from swarmtui.commands.output import Document;"
        "shell_terminal(parse_format('json'), quiet=False, environment={}).show(Document({'a': 'caf\\u00e9'}))"
    )
    env = {**os.environ, "PYTHONIOENCODING": "ascii"}
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, env=env, check=True)
    assert process.stdout == b'{"a":"caf\\u00e9"}\n'


def test_words_that_are_no_text_are_refused_but_values_may_be_bytes(swarmtui, machine):
    assert swarmtui("kv put k 'a\udcffb'").code == 0
    assert machine.cluster.store.keys()[0].value == b"a\xffb"
    for line in ("kv put 'k\udcff' v", "kill 'n\udcff'", "service create -d --name x -- 'p\udcff'"):
        outcome = swarmtui(line)
        assert outcome.code == 2, line
        assert "is no UTF-8 text" in outcome.error

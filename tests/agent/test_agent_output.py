"""What tasks write, kept and read back. Goal: no line lost or doubled over rotations, files bounded, a chatty task slowed
down instead of its node. Method: the launcher's recorder fed by pipes, the reader on the same files."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from swarmtui.agent import output
from swarmtui.agent.launcher_output import LAST_LINE_CHARACTERS_MAX, LINE_BYTES_MAX, OUTPUT_BYTES_PER_S, Recorder
from swarmtui.agent.output import OutputReader, read_output


class Pipes:
    def __init__(self, directory: Path, file_bytes_max: int) -> None:
        out_read, self.out = os.pipe()
        err_read, self.err = os.pipe()
        for descriptor in (out_read, err_read):
            os.set_blocking(descriptor, False)
        self.recorder = Recorder(str(directory), {out_read: "stdout", err_read: "stderr"}, file_bytes_max)
        self._reads = {self.out: out_read, self.err: err_read}

    def write(self, data: bytes, descriptor: int | None = None) -> None:
        descriptor = self.out if descriptor is None else descriptor
        os.write(descriptor, data)
        self.recorder.read(self._reads[descriptor])

    def close(self) -> None:
        self.recorder.finish()
        for descriptor in (self.out, self.err):
            os.close(descriptor)


@pytest.fixture
def pipes(tmp_path: Path) -> Iterator[Pipes]:
    pipes = Pipes(tmp_path, 2000)
    yield pipes
    pipes.close()


def texts(path: Path) -> list[str]:
    return [json.loads(line)["text"] for line in path.read_text().splitlines()]


def test_lines_are_kept_with_time_and_stream(tmp_path: Path, pipes: Pipes) -> None:
    pipes.write(b"one\ntwo \xff\xc3\xa9 \"'\\\r\npart")
    pipes.write(b"ial\n")
    pipes.write(b"why\n", pipes.err)
    pipes.write(b"rest", pipes.out)
    pipes.recorder.finish()
    lines = [json.loads(line) for line in (tmp_path / "output.jsonl").read_text().splitlines()]
    assert [line["text"] for line in lines] == ["one", "two \ufffd\u00e9 \"'\\", "partial", "why", "rest"]
    assert [line["stream"] for line in lines] == ["stdout"] * 3 + ["stderr", "stdout"]
    assert all(line["time"] > 1_600_000_000 for line in lines)


def test_the_last_line_of_standard_error_is_kept_short(pipes: Pipes) -> None:
    pipes.write(b"x" * 500 + b"\n\n  \n", pipes.err)
    assert pipes.recorder.last_error_line == "x" * LAST_LINE_CHARACTERS_MAX


def test_endless_lines_are_cut(tmp_path: Path, pipes: Pipes) -> None:
    for _ in range(5):
        pipes.write(b"y" * 10_000)
    pipes.recorder.finish()
    files = [path for path in tmp_path.iterdir() if path.name.startswith("output")]
    lengths = [len(text) for path in files for text in texts(path)]
    assert max(lengths) == LINE_BYTES_MAX


def test_three_files_at_most_are_kept(tmp_path: Path, pipes: Pipes) -> None:
    for number in range(300):
        pipes.write(f"line {number}\n".encode())
    files = sorted(path.name for path in tmp_path.iterdir())
    assert files == ["output.jsonl", "output.jsonl.1", "output.jsonl.2"]
    assert all((tmp_path / name).stat().st_size <= 2000 for name in files)
    kept = texts(tmp_path / files[2]) + texts(tmp_path / files[1]) + texts(tmp_path / files[0])
    assert kept == [f"line {number}" for number in range(300 - len(kept), 300)]


def test_a_task_that_prints_without_end_is_slowed_down(tmp_path: Path) -> None:
    pipes = Pipes(tmp_path, 100 * 1024 * 1024)
    now = pipes.recorder._refilled_at
    assert not pipes.recorder.throttled(now)
    written = 0
    while not pipes.recorder.throttled(now):
        pipes.write(b"y\n" * 4000)
        written = (tmp_path / "output.jsonl").stat().st_size
        assert written < 10 * OUTPUT_BYTES_PER_S
    assert not pipes.recorder.throttled(now + 0.1)
    pipes.close()


def test_a_full_disk_loses_output_and_nothing_else(tmp_path: Path) -> None:
    pipes = Pipes(tmp_path / "gone", 2000)
    pipes.write(b"lost\n", pipes.err)
    assert pipes.recorder.failure == "No such file or directory"
    assert pipes.recorder.last_error_line == "lost"
    (tmp_path / "gone").mkdir()
    pipes.write(b"kept\n", pipes.err)
    assert texts(tmp_path / "gone" / "output.jsonl") == ["kept"]
    pipes.close()


def test_the_tail_reaches_over_rotated_files(tmp_path: Path, pipes: Pipes) -> None:
    for number in range(60):
        pipes.write(f"line {number}\n".encode())
    assert (tmp_path / "output.jsonl.1").exists()
    reader = OutputReader(tmp_path / "output.jsonl")
    assert [line.text for line in reader.tail(50)] == [f"line {number}" for number in range(10, 60)]
    assert reader.more() == ([], "")
    pipes.write(b"next\n")
    assert [line.text for line in reader.more()[0]] == ["next"]
    reader.close()


@pytest.mark.parametrize("count", [0, 1, 2, 19, 20, 21, 59, 60, 61, 1000])
def test_a_tail_is_the_end_of_all_that_is_kept(tmp_path: Path, pipes: Pipes, count: int) -> None:
    for number in range(60):
        pipes.write(f"line {number}\n".encode())
    files = [tmp_path / f"output.jsonl{suffix}" for suffix in (".2", ".1", "")]
    kept = [text for file in files if file.exists() for text in texts(file)]
    reader = OutputReader(tmp_path / "output.jsonl")
    assert [line.text for line in reader.tail(count)] == (kept[-count:] if count else [])
    pipes.write(b"next\n")
    assert [line.text for line in reader.more()[0]] == ["next"]
    reader.close()


def test_the_tail_of_a_long_output_costs_what_it_holds_and_not_what_was_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each line that is parsed is time in which the node answers nobody: 200,000 of them were eight seconds."""
    line = b'{"time": 1.5, "stream": "stdout", "text": "0123456789"}\n'
    (tmp_path / "output.jsonl").write_bytes(line * 50_000)
    (tmp_path / "output.jsonl.1").write_bytes(line * 50_000)
    parsed = 0
    parse = output._parse

    def counting(data: bytes) -> object:
        nonlocal parsed
        parsed += 1
        return parse(data)

    monkeypatch.setattr(output, "_parse", counting)
    reader = OutputReader(tmp_path / "output.jsonl")
    assert len(reader.tail(200)) == 200
    assert parsed == 200
    reader.close()


def test_following_loses_no_line_when_files_are_rotated(tmp_path: Path, pipes: Pipes) -> None:
    reader = OutputReader(tmp_path / "output.jsonl")
    reader.tail(0)
    seen: list[str] = []
    for number in range(400):
        pipes.write(f"line {number}\n".encode())
        if number % 30 == 0:  # less often than files are rotated
            while batch := reader.more()[0]:
                seen += [line.text for line in batch]
    while batch := reader.more()[0]:
        seen += [line.text for line in batch]
    assert seen == [f"line {number}" for number in range(400)]
    reader.close()


def test_what_was_rotated_away_unread_is_said(tmp_path: Path, pipes: Pipes) -> None:
    pipes.write(b"first\n")
    reader = OutputReader(tmp_path / "output.jsonl")
    reader.tail(1)
    for number in range(300):
        pipes.write(f"line {number}\n".encode())
    notes, seen = [], []
    for _ in range(20):
        batch, note = reader.more()
        seen += [line.text for line in batch]
        notes.append(note)
    assert [note for note in notes if note] == ["some lines were rotated away before they could be read"]
    assert seen[-1] == "line 299"
    reader.close()


async def test_a_tail_of_nothing_only_follows(tmp_path: Path, pipes: Pipes) -> None:
    pipes.write(b"before\n")
    running = True
    chunks = read_output("t1", tmp_path, 0, True, lambda: running)
    assert (await anext(chunks)).lines == ()
    pipes.write(b"after\n")
    with trio.fail_after(5):
        chunk = await anext(chunks)
    assert [line.text for line in chunk.lines] == ["after"]
    running = False
    with pytest.raises(StopAsyncIteration), trio.fail_after(5):
        await anext(chunks)


async def test_the_end_of_what_was_written_before_is_marked(tmp_path: Path, pipes: Pipes, monkeypatch) -> None:
    monkeypatch.setattr(output, "CHUNK_LINES_MAX", 2)
    pipes.write(b"1\n2\n3\n4\n")
    running = True
    chunks = read_output("t1", tmp_path, 10, True, lambda: running)
    assert [((await anext(chunks)).caught_up) for _ in range(2)] == [False, True]
    pipes.write(b"5\n")
    with trio.fail_after(5):
        assert not (await anext(chunks)).caught_up
    await chunks.aclose()
    assert [chunk.caught_up async for chunk in read_output("t2", tmp_path / "no", 10, True, lambda: False)] == [True]


async def test_a_task_that_wrote_nothing_says_so(tmp_path: Path) -> None:
    chunks = [chunk async for chunk in read_output("t1", tmp_path, 10, True, lambda: False)]
    assert [chunk.missing for chunk in chunks] == ["the task wrote nothing, or nothing is left"]

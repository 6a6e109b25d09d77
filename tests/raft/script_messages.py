"""The network of golden scripts: messages wait on their paths until a script says what becomes of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

from swarmtui.raft.core import RaftCore
from swarmtui.raft.inputs import Input, Received
from swarmtui.raft.messages import AnyMessage, VoteRequest
from swarmtui.raft.text import message_line


class Messages:
    """The commands about messages; the script itself (`script.py`) feeds the nodes and keeps the lines."""

    cores: Mapping[str, RaftCore | None]
    paths: dict[str, deque[AnyMessage]]
    aside: deque[AnyMessage]
    cuts: set[str]

    def feed(self, id: str, event: Input) -> None:
        raise NotImplementedError

    def say(self, line: str) -> None:
        raise NotImplementedError

    def do_cut(self, *paths: str) -> None:
        self.cuts.update(paths)

    def do_uncut(self, *paths: str) -> None:
        self.cuts.difference_update(paths)

    def do_deliver(self, path: str = "", count: str = "1000") -> None:
        for one in [path] if path else list(self.paths):
            for _ in range(min(int(count), len(self.paths[one]))):
                self._deliver(self.paths[one].popleft())

    def _deliver(self, message: AnyMessage) -> None:
        if self.cores.get(message.target) is not None:
            self.feed(message.target, Received(message))

    def do_drop(self, path: str, count: str = "1000") -> None:
        for _ in range(min(int(count), len(self.paths[path]))):
            self.say(f"lost {message_line(self.paths[path].popleft())}")

    def do_twice(self, path: str) -> None:
        self.paths[path].appendleft(self.paths[path][0])

    def do_hold(self, path: str) -> None:
        self.aside.append(self.paths[path].popleft())
        self.say(f"held {message_line(self.aside[-1])}")

    def do_late(self) -> None:
        while self.aside:
            message = self.aside.popleft()
            self.paths[f"{message.source}>{message.target}"].append(message)

    def do_ask(self, path: str, term: str, log: str, *kind: str) -> None:
        source, target = path.split(">")
        index, last_term = (int(number) for number in log.split("/"))
        self.paths[path].append(
            VoteRequest(
                cluster="c",
                source=source,
                target=target,
                term=int(term),
                last_index=index,
                last_term=last_term,
                pre=kind == ("pre",),
            )
        )

    def do_damage(self, path: str) -> None:
        message = self.paths[path][0]
        message.data = b"?" + message.data[1:]  # type: ignore[union-attr]

    def do_waiting(self) -> None:
        for messages in self.paths.values():
            for message in messages:
                self.say(message_line(message))

"""A simulated network: messages take their time, get lost, come twice, overtake one another, wait before a clog, die with
their connection, come again much later, or meet a cut."""

from __future__ import annotations

import random
from collections import defaultdict

from swarmtui.raft.invariants import require
from swarmtui.raft.messages import AnyMessage
from swarmtui.sim.parameters import NetworkParameters
from swarmtui.wire.channels import Channel
from swarmtui.wire.codec import decode_message, encode_message
from swarmtui.wire.frames import FrameReader, encode_frame

Path = tuple[str, str]  # directed: (source, target)
REPLAYED_AFTER_S = (0.2, 8.0)  # an old message comes again so much later


class Parcel:
    """A message on its way, as an object or, where the run is through the wire, as the frame that carries it."""

    def __init__(self, message: AnyMessage, path: Path, connection: int, through_wire: bool) -> None:
        self.message = message
        self.path = path
        self.connection = connection  # the how-manieth of this path
        self.frame = encode_frame(Channel.RAFT, encode_message(message)) if through_wire else b""

    def unpack(self) -> AnyMessage:
        """What arrives. Raises InvariantViolation if the wire makes something else of it."""
        if not self.frame:
            return self.message
        reader = FrameReader()
        reader.feed(self.frame)
        frame = reader.next_frame()
        assert frame is not None
        message = decode_message(frame[1])
        require(message == self.message, "the wire carries what was sent", sent=self.message, came=message)
        return self.message

    def tear(self, rng: random.Random) -> None:
        """The connection ends in the middle of this frame: nothing of it may be taken for a message."""
        if self.frame:
            reader = FrameReader()
            reader.feed(self.frame[: rng.randrange(len(self.frame))])
            require(reader.next_frame() is None, "a partial frame is no message", message=self.message)


class SimulatedNetwork:
    """`cuts` are directed. Nothing passes one, and nobody is told. `clogs`: nothing arrives before that time, then all."""

    def __init__(self, parameters: NetworkParameters, rng: random.Random) -> None:
        self.parameters = parameters
        self.rng = rng
        self.cuts: set[Path] = set()
        self.clogs: dict[Path, float] = {}
        self.connections: defaultdict[Path, int] = defaultdict(int)
        self._last_arrival: dict[Path, float] = {}

    def heal(self) -> None:
        """From now on: no cut, clog, loss, duplication or disorder. What was sent before may still arrive."""
        self.cuts.clear()
        self.clogs.clear()
        self.parameters = NetworkParameters(through_wire=self.parameters.through_wire)

    def pack(self, message: AnyMessage) -> Parcel:
        path = (message.source, message.target)
        return Parcel(message, path, self.connections[path], self.parameters.through_wire)

    def reset(self, one: str, other: str) -> None:
        """The connection between them breaks; whatever is on its way dies with it."""
        self.connections[one, other] += 1
        self.connections[other, one] += 1

    def arrivals(self, source: str, target: str, now: float) -> list[float]:
        """When a message that leaves now arrives: never, once, or twice."""
        parameters, rng = self.parameters, self.rng
        path = (source, target)
        if path in self.cuts or (parameters.loss and rng.random() < parameters.loss):
            return []
        times = [self.arrival(path, now)]
        if parameters.duplication and rng.random() < parameters.duplication:
            times.append(self.arrival(path, now) + rng.expovariate(10.0))
        return times

    def replayed_at(self, now: float) -> float | None:
        """When this message is delivered once more, over whatever connection there is by then; mostly never."""
        share = self.parameters.replayed
        return now + self.rng.uniform(*REPLAYED_AFTER_S) if share and self.rng.random() < share else None

    def arrival(self, path: Path, now: float) -> float:
        parameters = self.parameters
        at = now + parameters.delay_min_s + self.rng.expovariate(1.0) * parameters.delay_mean_s
        if self.clogs:
            at = max(at, self.clogs.get(path, 0.0))
        if parameters.keeps_order:
            at = max(at, self._last_arrival.get(path, 0.0))
            self._last_arrival[path] = at
        return at

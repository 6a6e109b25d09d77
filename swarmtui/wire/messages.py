"""What the wire itself says: greeting and farewell, and the envelopes in which calls and answers travel."""

from __future__ import annotations

import attrs

from swarmtui.wire.calls import PROTOCOL_VERSION, Answer, Call


@attrs.define
class Hello:
    """First message of both sides. A listener says it only to those whom it admits."""

    protocol: int = PROTOCOL_VERSION


@attrs.define
class Goodbye:
    """Last message of a side that ends the connection; the other side reports the reason."""

    reason: str


@attrs.define
class Request:
    """A call. `id` is the caller's, unique in its connection while the call is unanswered."""

    id: int
    call: Call


@attrs.define
class Reply:
    """An answer. `more`: an item of a stream, others follow."""

    id: int
    answer: Answer
    more: bool = False


@attrs.define
class Ended:
    """The stream of this id is complete."""

    id: int


@attrs.define
class Failed:
    """The call was not carried out, or its stream broke off. `rule` is a short fixed name, `reason` a sentence."""

    id: int
    rule: str
    reason: str


@attrs.define
class Cancel:
    """The caller no longer wants answers to this id."""

    id: int


@attrs.define
class More:
    """The caller has room for `count` further items of the stream of this id."""

    id: int
    count: int


Envelope = Request | Reply | Ended | Failed | Cancel | More

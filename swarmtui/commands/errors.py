"""What a command refuses by itself, by blame: each one sentence that says what to do next, each with its exit code."""

from __future__ import annotations


class CommandFailed(Exception):
    """The order was refused or failed, and nothing was changed."""

    exit_code = 1


class WrongUsage(CommandFailed):
    """The words are no order."""

    exit_code = 2


class TryLater(CommandFailed):
    """No cluster or no quorum now."""

    exit_code = 4


class FailedWith(CommandFailed):
    """The one thing that was asked failed, with the exit code of its own error."""

    def __init__(self, text: str, exit_code: int) -> None:
        super().__init__(text)
        self.exit_code = exit_code


class SomeFailed(FailedWith):
    """Several targets were ordered and some failed; each was shown already, so there is nothing left to say."""

    def __init__(self, exit_code: int = 1) -> None:
        super().__init__("", exit_code)


def exit_code_of(error: BaseException) -> int | None:
    """The exit code of an expected error, of here or of the client; None for one that nobody expected."""
    code = getattr(error, "exit_code", None)
    return code if isinstance(code, int) else None

"""What an error is about, where every room may ask it without importing anything else."""

from __future__ import annotations


def innermost(error: BaseException) -> BaseException:
    """What nurseries wrapped: the first cause of a group."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error

"""Identifiers, as Docker makes them: 25 characters of base 36 for every object."""

from __future__ import annotations

import secrets

ID_LENGTH = 25
ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"


def new_id() -> str:
    """A fresh random id (129 bits). Made by proposers only, never while applying the log."""
    return "".join(secrets.choice(ALPHABET) for _ in range(ID_LENGTH))

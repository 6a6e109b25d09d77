"""Where this package lies, in one place for every room that starts a program of it or reads what came with it."""

from __future__ import annotations

from pathlib import Path

PACKAGE_PARENT = Path(__file__).resolve().parents[1]
"""Where `-m swarmtui...` is found, whatever directory we stand in. In a clone its root."""

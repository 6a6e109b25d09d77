"""What the terminal can show."""

from __future__ import annotations

import os
import sys


def needs_ascii() -> bool:
    """Whether the terminal cannot be trusted with more than ASCII."""
    if os.environ.get("SWARMTUI_ASCII"):
        return True
    encoding = (getattr(sys.stdout, "encoding", "") or "").lower().replace("-", "")
    return not encoding.startswith("utf")

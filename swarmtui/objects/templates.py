"""`{{.Task.Slot}}` in a service's command and environment: which fields there are, checked when a service is written.

The names are Docker's (swarmkit template/context.go) and one of ours, `Task.Port`. The agent fills them in when it
prepares the task; a name that it would not know is refused long before, with the nearest one that it does.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable

TEMPLATE_FIELDS = (
    "Service.ID",
    "Service.Name",
    "Service.Labels",
    "Node.ID",
    "Node.Hostname",
    "Node.Platform.OS",
    "Node.Platform.Architecture",
    "Task.ID",
    "Task.Name",
    "Task.Slot",
    "Task.Port",
)
"""Every field a template may name. `Service.Labels` takes the name of a label: `{{index .Service.Labels "tier"}}`."""

_FIELD = re.compile(r"\{\{-?\s*\.([A-Za-z.]*)\s*-?\}\}")
_INDEX = re.compile(r'\{\{-?\s*index\s+\.Service\.Labels\s+"([^"]*)"\s*-?\}\}')
_ANY = re.compile(r"\{\{.*?(?:\}\}|$)", re.DOTALL)


def check_template(text: str) -> None:
    """Raises `ValueError` naming the first template in `text` that no agent could fill in."""
    for template in _ANY.findall(text):
        if _INDEX.fullmatch(template):
            continue
        field = _FIELD.fullmatch(template)
        if field is None or field[1] not in TEMPLATE_FIELDS or field[1] == "Service.Labels":
            nearest = difflib.get_close_matches(field[1] if field else template, TEMPLATE_FIELDS, n=1, cutoff=0.5)
            hint = f"did you mean {{{{.{nearest[0]}}}}}? " if nearest else ""
            fields = ", ".join("." + name for name in TEMPLATE_FIELDS)
            raise ValueError(f"template {template} is not known; {hint}there are {fields}")


def fill_template(text: str, field: Callable[[str], str], label: Callable[[str], str]) -> str:
    """`text` with every template replaced: `field("Task.Slot")`, `label("tier")` of the service."""
    if "{{" not in text:
        return text
    text = _INDEX.sub(lambda match: label(match[1]), text)
    return _FIELD.sub(lambda match: field(match[1]), text)

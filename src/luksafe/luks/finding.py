"""A finding: one thing noticed about a header, with its code, its place and how bad it is."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Severity(StrEnum):
    """``error``: a reader must refuse it; ``warning``: works, but is wrong; ``info``: worth knowing."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """``code`` is stable (kebab-case); ``where`` is a place such as ``keyslots.3.area.offset``; offsets are bytes."""

    code: str
    severity: Severity
    where: str
    text: str
    offset: int | None = None
    length: int | None = None
    evidence: dict[str, str | int | float | bool | list[str]] = field(default_factory=dict)

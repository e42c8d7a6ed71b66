"""What an operation needs from the world beside its target: the vault, the clock, this host."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from luksafe import __version__


def utc_now() -> datetime:
    """The clock."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Workspace:
    """Where the vault is, what time it is, and who we are."""

    vault_home: Path
    now: Callable[[], datetime] = utc_now
    host: str = ""
    tool: str = f"luksafe {__version__}"

    @property
    def host_name(self) -> str:
        """This host's name."""
        return self.host or socket.gethostname()

"""What an operation needs from the world beside its target: the vault, the clock, randomness, this host."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from luksafe import __version__
from luksafe.errors import LuksafeError, NotFound
from luksafe.ops.own_folder import require_own

if TYPE_CHECKING:
    from luksafe.vault.vault import Vault


def utc_now() -> datetime:
    """The clock."""
    return datetime.now(UTC)


def _say_nothing(text: str) -> None:
    """Where nobody listens."""


@dataclass(frozen=True, slots=True)
class Workspace:
    """Where the vault is, what time it is, where random bytes come from, who we are.

    ``state_folder`` is the second place for what a write replaces when no store is connected; ``warn`` takes what the
    user should hear though the operation goes on. ``allow_foreign``: root may use folders of other users.
    """

    vault_home: Path
    now: Callable[[], datetime] = utc_now
    random_bytes: Callable[[int], bytes] = os.urandom
    state_folder: Path = Path("~/.local/state/luksafe")
    host: str = ""
    tool: str = f"luksafe {__version__}"
    warn: Callable[[str], None] = _say_nothing
    allow_foreign: bool = False

    @property
    def host_name(self) -> str:
        """This host's name."""
        return self.host or os.uname().nodename

    def require_own_state(self) -> Path:
        """The state folder. Raises Refused where it is another user's and we are root."""
        require_own(self.state_folder, allowed=self.allow_foreign)
        return self.state_folder

    def open_vault(self, *, create: bool = False) -> Vault:
        """The vault with all its stores, to be closed (``with``). Raises NotFound when there is none yet."""
        from luksafe.device.location import is_local  # costs start-up time, and `show IMAGE` needs no vault
        from luksafe.vault.vault import Vault

        require_own(self.vault_home, self.vault_home / "config.toml", allowed=self.allow_foreign)
        return Vault.open(self.vault_home, random=self.random_bytes, create=create, is_local=is_local, warn=self.warn)

    @contextmanager
    def vault_if_readable(self) -> Iterator[Vault | None]:
        """The vault where it helps and is not needed: None without one, or with a warning where it cannot be read."""
        try:
            vault = self.open_vault()
        except NotFound:
            vault = None
        except LuksafeError as error:
            self.warn(f"going on without the vault: {error}" + (f" ({error.hint})" if error.hint else ""))
            vault = None
        try:
            yield vault
        finally:
            if vault is not None:
                vault.close()

"""A secret from another tool, with what that tool knew of the volume: seldom all that a packet needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from luksafe.secret import SecretBytes


@dataclass(frozen=True, slots=True)
class ImportedSecret:
    """What is not known is empty or None. ``data_offset`` is bytes; ``keyslot`` is the one a passphrase opens."""

    kind: Literal["volume-key", "passphrase"]
    secret: SecretBytes
    source: str
    uuid: str = ""
    hostname: str = ""
    label: str = ""
    serial: str = ""
    cipher: str = ""
    key_bits: int = 0
    data_offset: int | None = None
    keyslot: int | None = None

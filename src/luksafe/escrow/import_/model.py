"""A secret from another tool, with what that tool knew of the volume: seldom all that a packet needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from luksafe.escrow.parameters import VolumeParameters
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

    def parameters(self) -> VolumeParameters:
        """As much of a volume's parameters as is known; ``is_complete`` is false until a header gives the rest."""
        known = {"type": "crypt", "encryption": self.cipher}
        offset = {} if self.data_offset is None else {"offset": str(self.data_offset)}
        segments = {"0": known | offset} if self.cipher else {}
        return VolumeParameters("unknown", self.uuid, self.label, "", 0, self.key_bits, segments)

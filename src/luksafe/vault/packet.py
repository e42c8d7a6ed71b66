"""The files of an escrow packet as the vault keeps them: sealed bytes under their own SHA-256 (spec/vault.md, 2.4)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import msgspec

from luksafe.errors import DamagedInput
from luksafe.vault.name import PACKET, SEALED, Kind, Name, base_id, image_id
from luksafe.wall import walled

MAX_SEALED_BYTES = 24 << 20


@dataclass(frozen=True, slots=True)
class PacketFiles:
    """A sealed file (``kind`` says of which form) and its public part, empty where that is not at hand."""

    kind: Kind
    sealed: bytes
    public: bytes = b""

    @property
    def id(self) -> str:
        """The id in the vault: the beginning of the sealed file's SHA-256."""
        return image_id(hashlib.sha256(self.sealed).hexdigest())

    def named(self, volume: str) -> list[tuple[Name, bytes]]:
        """The files with their names in a volume folder, the sealed one last: what has one is whole."""
        tag = hashlib.sha256(self.public).hexdigest()[:16]
        public = [(Name(volume, self.id, Kind.PUBLIC_PART, tag), self.public)] if self.public else []
        return [*public, (Name(volume, self.id, self.kind), self.sealed)]


@walled("a packet in the vault")
def check_packet_file(name: Name, data: bytes) -> None:
    """Raise ``DamagedInput`` unless ``data`` is what its name says, to the last bit."""
    assert name.kind in PACKET
    digest = hashlib.sha256(data).hexdigest()
    if name.kind in SEALED:
        if not digest.startswith(base_id(name.id)):
            raise DamagedInput("the sealed packet is not the one that its name says")
        return
    if digest[:16] != name.tag or not _sealed_sha256(data).startswith(base_id(name.id)):
        raise DamagedInput("the public part of a packet is not the one that its name says")


def _sealed_sha256(public: bytes) -> str:
    try:
        members = msgspec.json.decode(public, type=dict[str, Any])
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise DamagedInput(f"the public part of a packet is no JSON: {error}") from error
    return str(members.get("sealed_sha256", ""))

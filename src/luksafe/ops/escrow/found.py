"""What a user names as PACKET: a file, a scanned sheet, or one in the vault by its id or the UUID of its volume."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from luksafe.errors import DamagedInput, LuksafeError, NotFound, UsageError
from luksafe.escrow.packet import MAX_PACKET_BYTES, Packet, read_packet
from luksafe.escrow.public_part import MAX_PUBLIC_BYTES, PublicPart
from luksafe.escrow.recipients.interface import SUFFIX
from luksafe.ops.escrow.packet_sheet import read_packet_sheet
from luksafe.ops.target import VAULT_PREFIX
from luksafe.ops.workspace import Workspace
from luksafe.paper.picture import is_scan
from luksafe.vault.name import is_like_file, is_uuid
from luksafe.vault.packets import StoredPacket
from luksafe.vault.record import Proof

SHORTEST_PREFIX = 4


@dataclass(frozen=True, slots=True)
class FoundPacket:
    """A packet at hand. ``vault_id`` and ``stores`` are empty for one in a file; ``path`` is None for one in the vault.

    ``problem`` says why its public part is not used, empty when nothing is wrong.
    """

    packet: Packet = field(repr=False)
    description: str
    vault_id: str = ""
    stores: tuple[str, ...] = ()
    proofs: tuple[Proof, ...] = ()
    path: Path | None = None
    problem: str = ""

    @property
    def public(self) -> PublicPart | None:
        """What everybody may know of it, where that is at hand."""
        return self.packet.public


def find_packet(workspace: Workspace, text: str) -> FoundPacket:
    """The packet that ``text`` names; a path that exists wins, ``vault:`` before the name asks for the vault.

    Raises NotFound, DamagedInput, UsageError when several fit.
    """
    if os.path.lexists(text) and not text.startswith(VAULT_PREFIX):
        path = Path(text)
        return _from_sheet(path) if is_scan(path) else read_packet_file(path)
    return read_stored(find_stored(workspace, text.removeprefix(VAULT_PREFIX)))


def _from_sheet(path: Path) -> FoundPacket:
    packet, sheet_id = read_packet_sheet(path)
    return FoundPacket(packet, f"sheet {sheet_id} in {path}", path=path)


def find_stored(workspace: Workspace, name: str) -> StoredPacket:
    """The packet of the vault with this id, or the only one of the volume with this UUID, damaged or not.

    Raises NotFound, UsageError when several fit.
    """
    fitting = [found for found in _stored(workspace) if _is_named(found, name)]
    if not fitting and is_like_file(name):
        raise NotFound(f"{name}: no such file", hint="check its name; the packets of the vault: luksafe escrow show")
    if not fitting:
        raise NotFound(f"there is no file and no packet {name!r}", hint="see what there is: luksafe escrow show")
    if len(fitting) > 1:
        raise UsageError(
            f"{name!r} fits {len(fitting)} packets: {'; '.join(_words(found) for found in fitting[:10])}",
            code="ambiguous",
            hint="name one by its id",
        )
    return fitting[0]


def packets_in_vault(workspace: Workspace, uuid: str | None = None) -> list[FoundPacket]:
    """All packets of the vault, or those of one volume; damaged ones are left out (``luksafe stores check``)."""
    return list(readable(_stored(workspace, uuid)))


def readable(stored: Iterable[StoredPacket]) -> Iterator[FoundPacket]:
    """Those that can be read: one that a store brought, and that is no packet, must not hide the others."""
    for found in stored:
        with suppress(LuksafeError):
            yield read_stored(found)


def _stored(workspace: Workspace, uuid: str | None = None) -> list[StoredPacket]:
    try:
        with workspace.open_vault() as vault:
            return vault.packets(uuid)
    except NotFound:
        return []


def _is_named(found: StoredPacket, name: str) -> bool:
    if is_uuid(name):
        return found.uuid == name.lower()
    if len(name) < SHORTEST_PREFIX:
        return False
    public = _public_part(found)
    return found.id.startswith(name.lower()) or (public is not None and public.packet_id.startswith(name.lower()))


def _words(found: StoredPacket) -> str:
    public = _public_part(found)
    if public is None:
        return found.id[:16]
    return f"{public.packet_id} ({', '.join(public.kinds)}, {public.when:%Y-%m-%d}, {public.scheme})"


def _public_part(found: StoredPacket) -> PublicPart | None:
    try:
        return PublicPart.from_bytes(found.public) if found.public else None
    except LuksafeError:
        return None


def read_stored(found: StoredPacket) -> FoundPacket:
    """A packet of the vault. Raises DamagedInput when no copy is whole."""
    if found.sealed is None:
        raise DamagedInput(
            f"every copy of packet {found.id} that is here is damaged", hint="mount the other stores: luksafe sync"
        )
    packet, problem = _together(found.sealed, found.public or None)
    shown = packet.public.packet_id if packet.public else found.id[:16]
    return FoundPacket(packet, f"packet {shown}", found.id, found.stores, found.proofs, problem=problem)


def read_packet_file(path: Path) -> FoundPacket:
    """A packet from its sealed file or its public part, with the other of the two when it stands beside it."""
    if path.suffix == ".json":
        beside = [path.with_suffix(suffix) for suffix in dict.fromkeys(SUFFIX.values())]
        path = next((sealed for sealed in beside if sealed.is_file()), path)
    if path.suffix == ".json":
        raise NotFound(f"{path} is a public part, and no sealed file stands beside it")
    sealed = _read(path, MAX_PACKET_BYTES)
    public = next((_read(part, MAX_PUBLIC_BYTES) for part in _public_parts(path) if part.is_file()), None)
    packet, problem = _together(sealed, public)
    return FoundPacket(packet, str(path), path=path, problem=problem)


def _public_parts(sealed: Path) -> Iterator[Path]:
    yield sealed.with_suffix(".json")
    yield from sorted(sealed.parent.glob(f"{sealed.stem}.public-*.json"))  # as the vault names it


def _together(sealed: bytes, public: bytes | None) -> tuple[Packet, str]:
    """The packet, and what is wrong with its public part: that must not keep anybody from opening it."""
    alone = read_packet(sealed)
    try:
        return (read_packet(sealed, public), "") if public else (alone, "")
    except LuksafeError as error:
        return alone, f"its public part is not used: {error}"


def _read(path: Path, most_bytes: int) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(most_bytes + 1)
    except OSError as error:
        raise NotFound(f"{path}: {error.strerror}") from None
    if len(data) > most_bytes:
        raise DamagedInput(f"{path} has more than {most_bytes} bytes: it is no packet")
    return data

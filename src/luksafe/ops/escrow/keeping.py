"""Where packets go: the vault with all its stores, and folders that are asked for. Never only the disk they open."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from luksafe.device.identity import DeviceFacts
from luksafe.device.location import shares_disk
from luksafe.errors import NotFound, Refused
from luksafe.escrow.recipients.interface import Scheme
from luksafe.luks.compare import keyslot_fingerprint
from luksafe.luks.model import Header, Json
from luksafe.ops.escrow.found import FoundPacket
from luksafe.ops.escrow.sealing import Sealed
from luksafe.ops.new_file import write_new_file
from luksafe.ops.record import lineage_of
from luksafe.ops.workspace import Workspace
from luksafe.vault.folder_store import FolderStore
from luksafe.vault.name import Kind
from luksafe.vault.packet import PacketFiles
from luksafe.vault.record import Proof, timestamp
from luksafe.vault.report import Added
from luksafe.vault.vault import Vault

ProofSource = Callable[[Sealed, str], list[Proof]]
"""Gives what is noted of a packet that is stored under an id."""
KINDS: dict[Scheme, Kind] = {"age": Kind.SEALED_AGE, "passphrase": Kind.SEALED_AGE, "cms": Kind.SEALED_CMS}


@dataclass(frozen=True, slots=True)
class KeptPacket:
    """A stored packet. ``uncounted`` are stores on the disk that it opens: no copies. ``files`` are those outside."""

    sealed: Sealed
    added: Added
    uncounted: tuple[str, ...]
    files: tuple[Path, ...]

    @property
    def copies(self) -> list[str]:
        """The stores that count."""
        return [name for name in self.added.stores if name not in self.uncounted]


def require_place(workspace: Workspace, facts: DeviceFacts | None, folder: Path | None) -> None:
    """Raise Refused when a packet could be kept nowhere but on the disk that it opens; NotFound for no folder."""
    if folder is not None:
        _require_folder(folder, facts)
        return
    if facts is None:
        return
    with workspace.open_vault(create=True) as vault:
        names = {store.name for store in vault.stores}
        if names <= set(_on_the_disk(vault, facts)):
            raise Refused(
                "every place that could keep the packet lies on the disk that it opens",
                code="on-its-volume",
                hint="add a store on another disk (luksafe stores add NAME DIR), or give --output DIR",
            )


def keep(
    workspace: Workspace,
    packets: Sequence[Sealed],
    proofs: ProofSource,
    facts: DeviceFacts | None,
    folder: Path | None = None,
) -> list[KeptPacket]:
    """Store packets in the vault and, with their public parts, in ``folder``; note how each was proven.

    Raises Refused, StoreError.
    """
    kept = []
    with workspace.open_vault(create=True) as vault:
        uncounted = tuple(_on_the_disk(vault, facts)) if facts else ()
        for sealed in packets:
            public = sealed.public
            files = tuple(write_files(sealed, folder)) if folder else ()
            added = vault.add_packet(public.uuid, packet_files(sealed))
            for proof in proofs(sealed, added.id):
                vault.add_proof(proof)
            kept.append(KeptPacket(sealed, added, uncounted, files))
    return kept


def packet_files(sealed: Sealed) -> PacketFiles:
    """A sealed packet as the vault takes it."""
    public = sealed.public
    return PacketFiles(KINDS[public.scheme], sealed.packet.sealed, public.to_bytes())


def store_packet(workspace: Workspace, found: FoundPacket) -> Added:
    """Store a packet from a file as it is. Raises Refused for one that was forgotten, StoreError."""
    public = found.packet.public
    files = PacketFiles(KINDS[found.packet.scheme], found.packet.sealed, public.to_bytes() if public else b"")
    with workspace.open_vault(create=True) as vault:
        return vault.add_packet(public.uuid if public else "", files)


def proofs_of(workspace: Workspace, header: Header) -> ProofSource:
    """That each secret opened the volume when it was sealed: what lets others notice that it no longer does."""

    def proofs(sealed: Sealed, vault_id: str) -> list[Proof]:
        return [
            make_proof(workspace, vault_id, secret.kind, secret.of, header, "opened the volume when it was sealed")
            for secret in sealed.contents.secrets
        ]

    return proofs


def no_proofs(_: Sealed, vault_id: str) -> list[Proof]:
    """For secrets of which no header was at hand to prove them."""
    return []


def make_proof(workspace: Workspace, vault_id: str, kind: str, of: int | None, header: Header, method: str) -> Proof:
    """A dated proof of a packet's secret, with what tells its keyslot or volume key from others."""
    is_passphrase = kind == "passphrase"
    keyslot = header.keyslots.get(of) if is_passphrase and of is not None else None
    extra: Json = {"secret": kind}
    if keyslot:
        extra["enrolment"] = keyslot_fingerprint(keyslot)
    if not is_passphrase:
        extra["lineage"] = lineage_of(header)
    return Proof(
        id=vault_id,
        when=timestamp(workspace.now()),
        method=f"its {kind} {method}",
        keyslot=of if is_passphrase else None,
        digest=None if is_passphrase else of,
        host=workspace.host_name,
        tool=workspace.tool,
        extra=extra,
    )


def write_files(sealed: Sealed, folder: Path) -> list[Path]:
    """The sealed file and the public part in a folder. Raises Refused when they exist, StoreError."""
    path = sealed_path(sealed, folder)
    paths = [path, path.with_suffix(".json")]
    for path, data in zip(paths, (sealed.packet.sealed, sealed.public.to_bytes()), strict=True):
        write_new_file(path, data)
    return paths


def sealed_path(sealed: Sealed, folder: Path) -> Path:
    """How the sealed file is called in a folder; the public part beside it ends in ``.json``."""
    return folder / f"{sealed.name}{sealed.packet.suffix}"


def _require_folder(folder: Path, facts: DeviceFacts | None) -> None:
    if not folder.is_dir():
        raise NotFound(f"{folder} is no folder", hint="make it, or mount the medium, first")
    if facts is not None and shares_disk(folder.absolute(), facts):
        raise Refused(
            f"{folder} lies on the disk that the packet opens",
            code="on-its-volume",
            hint="name a folder on another disk, such as a USB stick",
        )


def _on_the_disk(vault: Vault, facts: DeviceFacts) -> list[str]:
    """The names of the stores that are lost together with the device."""
    stores = [store for store in vault.stores if isinstance(store, FolderStore)]
    return [store.name for store in stores if shares_disk(store.folder.path, facts)]

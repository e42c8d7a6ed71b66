"""Emergency: what an open mapping still knows, saved in every way there is, one after the other."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from luksafe.crypto.kdf import KdfLimits
from luksafe.device.location import is_stored_on
from luksafe.device.mappings import find_mapping
from luksafe.device.source import open_source
from luksafe.errors import LuksafeError, Refused
from luksafe.luks.create import KdfChoice, Parameters
from luksafe.luks.inspection import inspect
from luksafe.luks.unlock import unlock
from luksafe.ops.escrow.keeping import KeptPacket
from luksafe.ops.escrow.recipients import SealTo
from luksafe.ops.escrow.save import SaveOrder, save
from luksafe.ops.escrow.volume import prove_volume
from luksafe.ops.exchange import Imported, import_file
from luksafe.ops.rebuild.from_mapping import Say, key_of_mapping
from luksafe.ops.rebuild.from_memory import Progress
from luksafe.ops.rebuild.known import Known, Volume, gather, look, prove_by_mapping
from luksafe.ops.rebuild.rebuild import write_to_file
from luksafe.ops.target import open_target
from luksafe.ops.workspace import Workspace
from luksafe.secret import SecretBytes
from luksafe.vault.folder_store import FolderStore


@dataclass(frozen=True, slots=True)
class Emergency:
    """Where everything now stands. ``problems`` are steps that failed; those before them hold all the same."""

    device: str
    uuid: str
    header_file: Path
    keyslot: int
    proof: str
    imported: Imported | None
    on_the_volume: tuple[str, ...]
    packets: tuple[KeptPacket, ...]
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EmergencyOrder:
    """The header file to write, its new passphrase, whom to seal the key to (nobody, perhaps), and where besides."""

    header_file: Path
    passphrase: SecretBytes
    kdf: KdfChoice
    groups: tuple[SealTo, ...] = ()
    folder: Path | None = None


def save_all(
    workspace: Workspace, name: str, order: EmergencyOrder, say: Say, progress: Progress | None = None
) -> Emergency:
    """A detached header from the mapping, proven by it, kept in the vault and every store, and the key in escrow.

    Nothing is written to the device. Raises what keeps the header itself from being made; later steps are reported.
    """
    device = find_mapping(name).device
    with look(device) as volume:
        source = key_of_mapping(name, device, say=say, progress=progress)
        with gather(workspace, volume, source) as known:
            if not any(proof.by == "mapping" for proof in known.proofs):
                raise Refused(f"no sector of {name} could be compared with {device}: the key is not proven")
            write_to_file(workspace, volume.facts, known, order.passphrase, order.kdf, order.header_file)
            say(f"written: {order.header_file}")
            keyslot, proof = _prove(volume, order)
            return _keep(workspace, volume, known, order, keyslot, proof)


def _prove(volume: Volume, order: EmergencyOrder) -> tuple[int, str]:
    """Open the file that was written, and let the running mapping judge the key that comes out."""
    with open_source(order.header_file) as reader:
        header = inspect(reader).require_header()
        opened = unlock(reader, header, order.passphrase, limits=KdfLimits())
    with opened.volume_key as key:
        proof = prove_by_mapping(volume, Parameters.from_header(header), key)
    if proof is None:
        raise LuksafeError("the header that was written could not be compared with the mapping", code="verification")
    return opened.keyslot, proof.text


def _keep(
    workspace: Workspace, volume: Volume, known: Known, order: EmergencyOrder, keyslot: int, proof: str
) -> Emergency:
    problems: list[str] = []
    imported: Imported | None = None
    packets: list[KeptPacket] = []
    why = f"emergency: from the open mapping, {proof}"
    try:
        imported = import_file(workspace, str(order.header_file), facts=volume.facts, why=why)
    except LuksafeError as problem:
        problems.append(f"not in the vault: {problem}")
    if order.groups:
        try:
            with open_target(workspace, volume.device, str(order.header_file)) as target:
                proven = prove_volume(target, volume_key=known.key)
                packets = save(workspace, proven, SaveOrder(order.groups, reason=why, folder=order.folder))
        except LuksafeError as problem:
            problems.append(f"not in escrow: {problem}")
    return Emergency(
        device=volume.device,
        uuid=known.parameters.uuid,
        header_file=order.header_file.absolute(),
        keyslot=keyslot,
        proof=proof,
        imported=imported,
        on_the_volume=tuple(_stores_on(workspace, volume)) if imported else (),
        packets=tuple(packets),
        problems=tuple(problems),
    )


def _stores_on(workspace: Workspace, volume: Volume) -> list[str]:
    """Stores that lie on the volume itself: what is in them is lost with it."""
    with workspace.open_vault() as vault:
        stores = [store for store in vault.stores if isinstance(store, FolderStore)]
        return [store.name for store in stores if is_stored_on(store.folder.path, volume.facts)]

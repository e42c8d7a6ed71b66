"""Save: the key of a volume, proven just now, sealed to each group of recipients and kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from luksafe.errors import UsageError
from luksafe.escrow.contents import Secret, SecretKind
from luksafe.ops.escrow.keeping import KeptPacket, keep, proofs_of, require_place
from luksafe.ops.escrow.recipients import SealTo
from luksafe.ops.escrow.sealing import seal_to_each
from luksafe.ops.escrow.volume import ProvenVolume, make_contents
from luksafe.ops.workspace import Workspace
from luksafe.secret import SecretBytes


@dataclass(frozen=True, slots=True)
class SaveOrder:
    """What to seal, to whom, where to, besides the vault: ``folder``. ``recovery_key``: a fresh one, added first, with
    ``allow_damaged`` also where a keyslot of the volume is damaged.
    """

    groups: tuple[SealTo, ...]
    kinds: tuple[SecretKind, ...] = ("volume-key",)
    reason: str = ""
    with_header: bool = False
    folder: Path | None = None
    recovery_key: bool = False
    dry_run: bool = False
    allow_damaged: bool = False


def save(
    workspace: Workspace, volume: ProvenVolume, order: SaveOrder, passphrase: SecretBytes | None = None
) -> list[KeptPacket]:
    """Seal what is asked for and keep it. Raises UsageError without a passphrase where that is asked for, Refused."""
    require_place(workspace, volume.facts, order.folder)
    secrets = tuple(_secrets(volume, order.kinds, passphrase))
    contents = make_contents(workspace, volume, secrets, reason=order.reason, with_header=order.with_header)
    packets = seal_to_each(workspace, contents, order.groups)
    return keep(workspace, packets, proofs_of(workspace, volume.header), volume.facts, order.folder)


def _secrets(volume: ProvenVolume, kinds: Sequence[SecretKind], passphrase: SecretBytes | None) -> list[Secret]:
    found = []
    if "volume-key" in kinds:
        found.append(Secret("volume-key", volume.volume_key, volume.digest_id))
    if "passphrase" in kinds:
        if passphrase is None or volume.keyslot is None:
            raise UsageError(
                "no passphrase was given that could be sealed", hint="type it, or give it by --key-file FILE"
            )
        found.append(Secret("passphrase", passphrase, volume.keyslot))
    return found

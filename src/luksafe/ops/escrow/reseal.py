"""Reseal: what a packet holds, sealed to other recipients. The old packet stays until it is forgotten."""

from __future__ import annotations

from dataclasses import replace

import msgspec

from luksafe.device.identity import DeviceFacts, describe
from luksafe.errors import LuksafeError
from luksafe.escrow.contents import Contents, Made
from luksafe.ops.escrow.found import FoundPacket
from luksafe.ops.escrow.keeping import KeptPacket, keep, require_place
from luksafe.ops.escrow.save import SaveOrder
from luksafe.ops.escrow.sealing import Sealed, seal_to_each
from luksafe.ops.escrow.volume import user_name
from luksafe.ops.target import open_target
from luksafe.ops.workspace import Workspace
from luksafe.vault.record import Proof


def reseal(workspace: Workspace, found: FoundPacket, contents: Contents, order: SaveOrder) -> list[KeptPacket]:
    """Seal the contents anew, unknown members included; what was proven of the old packet holds for the new ones."""
    facts = facts_of_volume(workspace, contents)
    require_place(workspace, facts, order.folder)
    reason = order.reason or f"resealed from packet {contents.packet_id}"
    again = replace(contents, made=Made(workspace.now(), user_name(), workspace.tool, reason))
    sealed = seal_to_each(workspace, again, order.groups)

    def proofs(_: Sealed, vault_id: str) -> list[Proof]:
        return [msgspec.structs.replace(proof, id=vault_id) for proof in found.proofs]

    return keep(workspace, sealed, proofs, facts, order.folder)


def facts_of_volume(workspace: Workspace, contents: Contents) -> DeviceFacts | None:
    """The device that a packet opens, when it is on this machine where the packet says."""
    path = str(contents.device.get("path", ""))
    if not path.startswith("/"):
        return None
    try:
        with open_target(workspace, path) as target:
            header = target.inspection.header
            return describe(path) if header is not None and header.uuid == contents.volume.uuid else None
    except (LuksafeError, OSError):
        return None

"""Seal contents to each group of recipients, and make sure that what was sealed opens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from luksafe.errors import DamagedInput
from luksafe.escrow.contents import Contents
from luksafe.escrow.packet import Packet, open_packet, read_packet, seal
from luksafe.escrow.public_part import PublicPart
from luksafe.escrow.recipients.passphrase import Passphrase
from luksafe.escrow.share_file import render_share
from luksafe.escrow.sharing import Share, ShareCollector
from luksafe.ops.escrow.recipients import SealTo
from luksafe.ops.escrow.volume import with_fresh_id
from luksafe.ops.new_file import write_new_file
from luksafe.ops.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Sealed:
    """A sealed packet, not stored yet, and the shares that open it, if its passphrase was split.

    ``share_files`` are where they were written, before anything is stored: else a packet might open to nobody.
    """

    packet: Packet = field(repr=False)
    contents: Contents = field(repr=False)
    shares: tuple[Share, ...] = ()
    share_files: tuple[Path, ...] = ()

    @property
    def public(self) -> PublicPart:
        """Its public part."""
        assert self.packet.public is not None
        return self.packet.public

    @property
    def name(self) -> str:
        """What its files are called: volume and packet id; without the suffix."""
        return f"{self.public.uuid or 'volume'}-{self.public.packet_id}"


def seal_to_each(workspace: Workspace, contents: Contents, groups: Sequence[SealTo]) -> list[Sealed]:
    """One packet for each group, each with an id of its own. Raises DamagedInput if one does not open as sealed."""
    return [_seal(workspace, with_fresh_id(workspace, contents), group) for group in groups]


def _seal(workspace: Workspace, contents: Contents, group: SealTo) -> Sealed:
    packet = seal(contents, group.recipients, workspace.random_bytes, group.public_shares)
    sealed = Sealed(packet, contents, group.shares)
    read_packet(packet.sealed, sealed.public.to_bytes())
    for recipient in group.recipients:
        if isinstance(recipient, Passphrase):
            _require_same(sealed, _from_shares(sealed) or recipient)
    if group.shares_folder is not None:
        return replace(sealed, share_files=tuple(_write_shares(sealed, group.shares_folder)))
    return sealed


def _write_shares(sealed: Sealed, folder: Path) -> list[Path]:
    """One file, 0600, for each share. Raises Refused when one exists, StoreError."""
    paths = []
    for share in sealed.shares:
        path = folder / f"share-{share.number}-of-{len(sealed.shares)}-{sealed.public.packet_id}.txt"
        write_new_file(path, render_share(share, sealed.public))
        paths.append(path)
    return paths


def _from_shares(sealed: Sealed) -> Passphrase | None:
    """The passphrase as the shares give it back."""
    if not sealed.shares:
        return None
    collector = ShareCollector(sealed.public.shares)
    for share in sealed.shares[-sealed.shares[0].threshold :]:
        with share.text as words:
            collector.add(words.reveal().decode())
    return collector.passphrase()


def _require_same(sealed: Sealed, identity: Passphrase) -> None:
    """Only what opens with a secret can be tried: the private keys of others are not here."""
    opened = open_packet(sealed.packet, [identity]).contents
    if opened.secrets != sealed.contents.secrets:
        raise DamagedInput("the packet does not give back what was sealed; it is not kept")

"""Prove: open a header with a key, verify the key, decrypt the data, recognise what is in it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from luksafe.crypto.kdf import KdfLimits
from luksafe.device.source import open_source
from luksafe.errors import KeyRejected, LuksafeError
from luksafe.luks.compact import capture
from luksafe.luks.model import Header
from luksafe.luks.unlock import Unlocked, unlock, verify_volume_key
from luksafe.ops.record import uuid_of
from luksafe.ops.target import Target
from luksafe.ops.unwritten import UNWRITTEN, UNWRITTEN_WORDS, is_unwritten
from luksafe.ops.workspace import Workspace
from luksafe.probe.content import recognise_content
from luksafe.reader import Reader, SliceReader
from luksafe.secret import SecretBytes
from luksafe.vault.name import base_id, image_id
from luksafe.vault.record import Proof, timestamp
from luksafe.view.parameters import find_parameters
from luksafe.view.stream import DecryptedReader


@dataclass(frozen=True, slots=True)
class DataProof:
    """What the data decrypt to. ``makes_sense`` is None when that cannot be told (never written, wiped, unknown)."""

    checked: bool
    found: str = ""
    why: str = ""
    makes_sense: bool | None = None


@dataclass(frozen=True, slots=True)
class ProofReport:
    """The result: which keyslot opened (None: the volume key itself was given), and what the data say."""

    keyslot: int | None
    volume_key_sha256: str
    digest_id: int
    is_unbound: bool
    data: DataProof
    backup_id: str = ""


def prove(
    workspace: Workspace,
    target: Target,
    *,
    passphrase: SecretBytes | None = None,
    volume_key: SecretBytes | None = None,
    keyslot: int | None = None,
    data: Path | None = None,
    limits: KdfLimits | None = None,
) -> ProofReport:
    """Open the target's header with a passphrase or a volume key and look at its data, if they are at hand.

    Raises KeyRejected, DamagedInput and what else ``unlock`` raises. Notes the proof with the backup, if it is one.
    """
    header = target.inspection.require_header()
    if volume_key is not None:
        opened = _by_volume_key(header, volume_key, limits)
    else:
        opened = unlock(target.reader, header, passphrase or SecretBytes(), keyslot=keyslot, limits=limits)
    data_path = data or target.data_path
    shown = _look_at_data(data_path, header, opened) if data_path else DataProof(False, why="no data device was given")
    report = ProofReport(
        keyslot=opened.keyslot if volume_key is None else None,
        volume_key_sha256=hashlib.sha256(opened.volume_key.view).hexdigest(),
        digest_id=opened.digest_id,
        is_unbound=opened.is_unbound,
        data=shown,
        backup_id=target.backup.id if target.backup else stored_id(workspace, target),
    )
    if report.backup_id and shown.makes_sense is not False and not opened.is_unbound:
        _note(workspace, report.backup_id, report)
    return report


def stored_id(workspace: Workspace, target: Target) -> str:
    """The id of the backup that has this very header, empty when the vault has none: its proof is proven with it."""
    image = capture(target.reader, target.inspection).image
    wanted = image_id(hashlib.sha256(image).hexdigest())
    with workspace.vault_if_readable() as vault:
        ids = [backup.id for backup in vault.backups(uuid_of(target.inspection))] if vault else []
    return next((found for found in ids if base_id(found) == wanted), "")


def _by_volume_key(header: Header, volume_key: SecretBytes, limits: KdfLimits | None) -> Unlocked:
    for digest in header.digests.values():
        if verify_volume_key(digest, volume_key, limits):
            return Unlocked(-1, volume_key, digest.id, is_unbound=not digest.segments)
    raise KeyRejected("this is not the volume key: no digest of the header fits it")


def _look_at_data(path: Path, header: Header, opened: Unlocked) -> DataProof:
    if opened.is_unbound:
        return DataProof(False, why="the keyslot is unbound: its key decrypts no data")
    if header.is_in_reencryption:
        return DataProof(False, why="the volume is in reencryption: parts of it have another key")
    try:
        with open_source(path) as whole:
            return examine_data(SliceReader(whole, header.offset), header, opened.volume_key, opened.digest_id)
    except (LuksafeError, OSError) as problem:
        return DataProof(False, why=str(problem))


def examine_data(ciphertext: Reader, header: Header, volume_key: SecretBytes, digest_id: int) -> DataProof:
    """Decrypt samples of the data and say what they are; of noise, say with which parameters it would be none."""
    segments = [s for s in header.data_segments if s.id in header.digests[digest_id].segments]
    if not segments or ciphertext.size_bytes <= segments[0].offset:
        return DataProof(False, why="there are no data here")
    if is_unwritten(ciphertext, segments[0].offset):
        return DataProof(True, UNWRITTEN, UNWRITTEN_WORDS)
    volume = DecryptedReader(ciphertext, segments, {segment.id: volume_key for segment in segments})
    content = recognise_content(volume)
    if content.plausible is not False:
        return DataProof(True, content.name, content.why, content.plausible)
    better = find_parameters(ciphertext, segments[0], volume_key)
    hope = f"; but {better.text}" if better else ""
    what = "noise: " if content.name == "random" else ""
    return DataProof(True, content.name, f"{what}{content.why}{hope}", makes_sense=False)


def _note(workspace: Workspace, backup_id: str, report: ProofReport) -> None:
    keyslot = "the volume key" if report.keyslot is None else f"keyslot {report.keyslot}"
    found = report.data.found if report.data.checked else ""
    method = f"{keyslot} opened this backup" + (f", the data decrypt to {found}" if found else "")
    proof = Proof(
        id=backup_id,
        when=timestamp(workspace.now()),
        method=method,
        keyslot=report.keyslot,
        digest=report.digest_id,
        found=found,
        host=workspace.host_name,
        tool=workspace.tool,
    )
    with workspace.open_vault() as vault:
        vault.add_proof(proof)

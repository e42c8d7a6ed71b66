"""The volume whose key goes into escrow: its header, its key, proven, and where it stands."""

from __future__ import annotations

import getpass
import gzip
from dataclasses import dataclass, field, replace

from luksafe.crypto.kdf import KdfLimits
from luksafe.device.identity import DeviceFacts, describe
from luksafe.errors import KeyRejected, LuksafeError, Refused, Unsupported
from luksafe.escrow.canary import CipherParameters, make_canary
from luksafe.escrow.contents import Contents, Made, Secret
from luksafe.escrow.parameters import VolumeParameters
from luksafe.luks.compact import capture
from luksafe.luks.model import Digest, Header
from luksafe.luks.unlock import Unlocked, unlock, verify_volume_key
from luksafe.ops.same_device import lasting_key
from luksafe.ops.target import Target
from luksafe.ops.workspace import Workspace
from luksafe.secret import SecretBytes


@dataclass(frozen=True, slots=True)
class ProvenVolume:
    """A volume whose key was proven by its digest. ``keyslot`` is the one that opened, None for a bare volume key."""

    target: Target
    header: Header
    volume_key: SecretBytes
    digest_id: int
    keyslot: int | None = None
    facts: DeviceFacts | None = field(default=None)


def prove_volume(
    target: Target,
    *,
    passphrase: SecretBytes | None = None,
    volume_key: SecretBytes | None = None,
    keyslot: int | None = None,
    limits: KdfLimits | None = None,
) -> ProvenVolume:
    """Open the target's header, or verify the volume key given. Raises KeyRejected, Refused during reencryption."""
    header = target.inspection.require_header()
    if header.is_in_reencryption:
        raise Refused(
            "the volume is in reencryption: it has two volume keys, and one of them will be gone",
            code="in-reencryption",
            hint="let the reencryption end, then save it",
        )
    if volume_key is not None:
        digest = data_digest(header)
        if not verify_volume_key(digest, volume_key, limits):
            raise KeyRejected(f"this is not the volume key of {header.uuid}")
        opened = Unlocked(-1, volume_key, digest.id)
    else:
        opened = unlock(target.reader, header, passphrase or SecretBytes(), keyslot=keyslot, limits=limits)
    if opened.is_unbound:
        raise KeyRejected(f"keyslot {opened.keyslot} is unbound: its key decrypts no data")
    path = target.data_path or target.header_path
    facts = describe(path) if path else None
    slot = None if volume_key is not None else opened.keyslot
    return ProvenVolume(target, header, opened.volume_key, opened.digest_id, slot, facts)


def data_digest(header: Header) -> Digest:
    """The digest that proves the key of the data. Raises Unsupported where the data is not encrypted."""
    segment = header.default_segment
    digest = header.digest_of_segment(segment.id) if segment else None
    if digest is None:
        raise Unsupported(f"no digest of {header.uuid} proves a key of its data: there is nothing to escrow")
    return digest


def make_contents(
    workspace: Workspace,
    volume: ProvenVolume,
    secrets: tuple[Secret, ...],
    *,
    reason: str = "",
    with_header: bool = False,
) -> Contents:
    """What a packet of this volume says; ``packet_id`` is a fresh one."""
    parameters = VolumeParameters.from_header(volume.header, len(volume.volume_key))
    try:
        canary = make_canary(CipherParameters.of(parameters), volume.volume_key)
    except Unsupported:
        canary = None
    record = volume.target.backup.record if volume.target.backup else None
    return Contents(
        packet_id=fresh_packet_id(workspace),
        volume=parameters,
        secrets=secrets,
        made=Made(workspace.now(), user_name(), workspace.tool, reason),
        host=record.host if record else workspace.host_name,
        device=_device(volume),
        canary=canary,
        header_gz=_header_gz(volume.target) if with_header else None,
    )


def with_fresh_id(workspace: Workspace, contents: Contents) -> Contents:
    """The same contents for another packet."""
    return replace(contents, packet_id=fresh_packet_id(workspace))


def fresh_packet_id(workspace: Workspace) -> str:
    """A random packet id."""
    return workspace.random_bytes(8).hex()


def user_name() -> str:
    """Who makes a packet; empty where the system does not tell."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return ""


def _device(volume: ProvenVolume) -> dict[str, str | int]:
    """Facts that tell the device from others; for a backup those of the time when it was made."""
    known: dict[str, str | int] = {}
    if volume.facts:
        facts = volume.facts
        known = {
            "path": facts.path,
            "size_bytes": facts.size_bytes,
            "model": facts.model,
            "serial": facts.serial,
            "wwn": facts.wwn,
            "partuuid": facts.partition.uuid if facts.partition else "",
            "target_key": lasting_key(facts),
        }
    elif volume.target.backup:
        record = volume.target.backup.record.device
        known = {"path": record.path, "size_bytes": record.size, "model": record.model, "serial": record.serial}
    return {name: value for name, value in known.items() if value}


def _header_gz(target: Target) -> bytes:
    try:
        return gzip.compress(capture(target.reader, target.inspection).image, mtime=0)
    except OSError as error:
        raise LuksafeError(f"the header cannot be read: {error}") from error

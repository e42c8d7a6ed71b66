"""Verify: does what is in the packet still open the device? A dated proof, and the secret is not shown."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from luksafe.crypto.kdf import KdfLimits
from luksafe.device.discover import find_luks_devices
from luksafe.errors import KeyRejected, LuksafeError, NotFound, Refused, UsageError
from luksafe.escrow.contents import Contents, Secret
from luksafe.luks.compare import keyslot_fingerprint
from luksafe.luks.model import Header
from luksafe.luks.unlock import unlock, verify_volume_key
from luksafe.ops.escrow.found import FoundPacket
from luksafe.ops.escrow.keeping import make_proof
from luksafe.ops.escrow.volume import data_digest
from luksafe.ops.record import lineage_of
from luksafe.ops.target import Target
from luksafe.ops.workspace import Workspace

State = Literal["opens", "not", "unknown"]


@dataclass(frozen=True, slots=True)
class SecretVerdict:
    """Whether one secret of a packet opens the volume; ``keyslot`` is the one that a passphrase opens."""

    kind: str
    state: State
    why: str
    keyslot: int | None = None
    of: int | None = None


@dataclass(frozen=True, slots=True)
class PacketVerdict:
    """``method`` says whether the packet was opened, or only the notes from earlier proofs were compared."""

    uuid: str
    method: Literal["opened", "notes"]
    secrets: tuple[SecretVerdict, ...]
    warnings: tuple[str, ...] = ()

    @property
    def opens(self) -> bool:
        """Whether every secret still opens the volume."""
        return bool(self.secrets) and all(verdict.state == "opens" for verdict in self.secrets)


def find_device(uuid: str) -> tuple[str, str | None]:
    """The device of this machine with this volume, and its detached header. Raises NotFound, UsageError for several."""
    found = [device for device in find_luks_devices() if device.uuid and device.uuid == uuid]
    if len(found) == 1:
        return found[0].path, found[0].header_path or None
    if found:
        paths = ", ".join(device.path for device in found)
        raise UsageError(f"several devices have the UUID {uuid}: {paths}", hint="name one of them after the packet")
    raise NotFound(
        f"no device of this machine has the UUID {uuid or '(none in the packet)'}",
        hint="name the device after the packet",
    )


def require_same_volume(uuid: str, header: Header) -> None:
    """Raise Refused when a packet is for another volume."""
    if uuid and uuid.lower() != header.uuid.lower():
        raise Refused(
            f"the packet is for volume {uuid}, this is {header.uuid}",
            code="other-volume",
            hint="name the device that the packet opens",
        )


def verify_opened(contents: Contents, target: Target, limits: KdfLimits | None = None) -> PacketVerdict:
    """Try each secret of an opened packet on the header. Raises Refused for another volume, DamagedInput."""
    header = target.inspection.require_header()
    require_same_volume(contents.volume.uuid, header)
    verdicts = tuple(try_secret(secret, target, header, limits) for secret in contents.secrets)
    return PacketVerdict(header.uuid, "opened", verdicts, tuple(_changed_parameters(contents, header)))


def try_secret(secret: Secret, target: Target, header: Header, limits: KdfLimits | None = None) -> SecretVerdict:
    """Whether one secret opens the header; damage and refusals come as ``unknown``."""
    try:
        if secret.kind == "volume-key":
            digest = data_digest(header)
            if verify_volume_key(digest, secret.value, limits):
                return SecretVerdict(secret.kind, "opens", f"digest {digest.id} proves the volume key", of=digest.id)
            return SecretVerdict(
                secret.kind, "not", "the volume has another volume key now (reencrypted, or formatted)"
            )
        return _try_passphrase(secret, target, header, limits)
    except LuksafeError as error:
        return SecretVerdict(secret.kind, "unknown", str(error), of=secret.of)


def _try_passphrase(secret: Secret, target: Target, header: Header, limits: KdfLimits | None) -> SecretVerdict:
    try:
        opened = unlock(target.reader, header, secret.value, limits=limits)
    except KeyRejected:
        return SecretVerdict(secret.kind, "not", _why_not(secret, header), of=secret.of)
    except NotFound as error:
        return SecretVerdict(secret.kind, "not", str(error), of=secret.of)
    opened.volume_key.wipe()
    why = f"keyslot {opened.keyslot} opens, digest {opened.digest_id} proves its key"
    return SecretVerdict(secret.kind, "opens", why, opened.keyslot, opened.keyslot)


def _why_not(secret: Secret, header: Header) -> str:
    if secret.of is None:
        return "no keyslot opens with it"
    if secret.of not in header.keyslots:
        return f"keyslot {secret.of}, which it opened, was killed"
    return f"no keyslot opens with it; keyslot {secret.of}, which it opened, was changed or is damaged"


def _changed_parameters(contents: Contents, header: Header) -> Iterator[str]:
    """Rebuilding from the packet would make another header than the one that is there."""
    now, then = header.default_segment, contents.volume
    if now is None or not then.is_complete:
        return
    pairs = (
        ("cipher", then.cipher, now.encryption),
        ("sector size", then.sector_size, now.sector_size),
        ("data offset", then.data_offset, now.offset),
        ("IV offset", then.iv_tweak, now.iv_tweak),
    )
    for name, old, new in pairs:
        if old != new:
            yield f"the packet says {name} {old}, the header {new}"


def verify_by_notes(found: FoundPacket, header: Header) -> PacketVerdict:
    """Without opening it: is the keyslot, or the volume key, the one that the packet was last proven with?

    Raises NotFound when nothing is noted of the packet.
    """
    if found.public:
        require_same_volume(found.public.uuid, header)
    latest = {str(proof.extra.get("secret", "")): proof for proof in found.proofs}
    if not latest:
        raise NotFound(
            f"nothing is noted of {found.description}: only opening it can tell",
            code="no-notes",
            hint="give --identity FILE, its passphrase or its shares",
        )
    verdicts = []
    for kind, proof in latest.items():
        enrolment, lineage = proof.extra.get("enrolment"), proof.extra.get("lineage")
        if kind == "passphrase" and proof.keyslot is not None:
            verdicts.append(_by_enrolment(proof.keyslot, enrolment, header))
        elif lineage == lineage_of(header):
            verdicts.append(SecretVerdict(kind, "opens", "the digest of the volume key is unchanged", of=proof.digest))
        else:
            verdicts.append(SecretVerdict(kind, "not", "the digest of the volume key is another one", of=proof.digest))
    return PacketVerdict(header.uuid, "notes", tuple(verdicts))


def _by_enrolment(slot: int, enrolment: object, header: Header) -> SecretVerdict:
    keyslot = header.keyslots.get(slot)
    if keyslot is None:
        return SecretVerdict("passphrase", "not", f"keyslot {slot} was killed", of=slot)
    if keyslot_fingerprint(keyslot) != enrolment:
        return SecretVerdict("passphrase", "not", f"keyslot {slot} has another passphrase now", of=slot)
    return SecretVerdict("passphrase", "opens", f"keyslot {slot} is the one that it opened", slot, slot)


def note_verdict(workspace: Workspace, found: FoundPacket, verdict: PacketVerdict, target: Target) -> bool:
    """Note with the packet what was proven by opening it. Whether anything was noted: only for one in the vault."""
    proven = [secret for secret in verdict.secrets if secret.state == "opens"]
    if not found.vault_id or verdict.method != "opened" or not proven:
        return False
    header = target.inspection.require_header()
    with workspace.open_vault() as vault:
        for secret in proven:
            method = f"opened {target.description}"
            vault.add_proof(make_proof(workspace, found.vault_id, secret.kind, secret.of, header, method))
    return True

"""What ``check`` says of the ways in: the keyslots that are there, proofs of each key, a reencryption not ended."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from luksafe.luks.model import Digest, Header
from luksafe.luks.tokens import machine_bound_keyslots
from luksafe.luks.weaknesses import clear_text_findings, weaknesses
from luksafe.ops.check_report import Reason
from luksafe.ops.reencryption import progress_words, resume_command
from luksafe.ops.target import Target
from luksafe.vault.backup import Backup
from luksafe.vault.record import Proof


@dataclass(frozen=True, slots=True)
class DeviceInCheck:
    """The device that is judged, as the command line named it, and its size in bytes (0 when unknown)."""

    name: str
    target: Target
    size_bytes: int = 0

    @property
    def words(self) -> str:
        """The device as a command names it, with its detached header."""
        return self.target.words(self.name)


def erased_reason(device: DeviceInCheck, opens: Backup | None) -> Iterator[Reason]:
    """That no keyslot is left in the header on the device, and the backup that ``opens`` it all the same."""
    header = device.target.inspection.header
    if header is None or not header.is_erased:
        return
    text = "every keyslot of its header is erased: no passphrase opens it any more"
    if opens is None:
        text += ", and no backup has a keyslot either: only the volume key, a packet or an open mapping helps"
        yield Reason("erased", text, f"luksafe diagnose {device.words}")
        return
    text += f"; backup {opens.id[:12]} still has its keyslots"
    place = device.target.header_place(device.name)
    yield Reason("erased", text, f"luksafe restore {opens.id[:12]} {place} --dry-run")


def decrypted_reason(device: DeviceInCheck) -> Iterator[Reason]:
    """That the volume was decrypted on purpose: then nothing of what was kept is to be restored."""
    header = device.target.inspection.header
    if header is not None and header.is_decrypted:
        text = (
            f"it was decrypted on purpose: the data lie in the clear from byte {header.data_offset} on, no passphrase"
            " is needed any more, and no backup of its header is to be restored"
        )
        yield Reason("decrypted", text, f"luksafe diagnose {device.words}", "warning")


def clear_text_reasons(device: DeviceInCheck) -> Iterator[Reason]:
    """That a passphrase protects nothing, as the volume key or the data lie in the clear."""
    header = device.target.inspection.header
    for finding in clear_text_findings(header) if header else ():
        yield Reason(finding.code, finding.text, f"luksafe show {device.words}")


def reencryption_reason(device: DeviceInCheck) -> Iterator[Reason]:
    """That a reencryption has not ended: how far it is and how it goes on. Nothing is safe meanwhile."""
    inspection, header = device.target.inspection, device.target.inspection.header
    if inspection.is_luks1_reencrypting:
        text = "a reencryption of this LUKS1 volume was interrupted; it goes on with the files that cryptsetup left"
        yield Reason("reencryption", text, f"luksafe diagnose {device.words}")
    elif header is not None and header.is_in_reencryption:
        text = f"{progress_words(header, device.size_bytes)}; until it has ended, no backup of the header stays right"
        command = resume_command(header, device.name, device.target.header_place(device.name))
        yield Reason("reencryption", text, command)


def proof_reasons(backup: Backup, header: Header | None, device: str) -> Iterator[Reason]:
    """That a key of the data was never proven: a volume in reencryption needs two. ``device``: empty when away."""
    prove = f"luksafe prove {backup.id[:12]}" + (f" --data {device}" if device else "")
    if header is not None and clear_text_findings(header):
        return  # no key proves anything
    if not backup.proofs:
        yield Reason("unproven", "no copy was ever proven to open it", prove)
    if header is None:
        yield Reason("backup-damaged", "no good copy of its backup can be read", "luksafe sync")
    elif backup.proofs:
        for digest in unproven_digests(header, backup.proofs):
            slots = ", ".join(map(str, digest.keyslots)) or "none"
            text = f"one of its volume keys was never proven: that of digest {digest.id} (keyslot {slots})"
            if any(_digest_of(header, proof) == digest.id for proof in backup.proofs):
                text = f"only the volume key itself was tried: no keyslot ({slots}) was ever proven to open it"
            yield Reason("unproven", text, prove)


def unproven_digests(header: Header, proofs: Sequence[Proof]) -> list[Digest]:
    """The digests in use whose key no keyslot was seen to give; that the bare key fits shows no way in."""
    proven = {_digest_of(header, proof) for proof in proofs if proof.keyslot is not None}
    return [digest for digest in header.digests_in_use if digest.id not in proven]


def _digest_of(header: Header, proof: Proof) -> int | None:
    if proof.digest is not None:
        return proof.digest
    digest = header.digest_of_keyslot(proof.keyslot) if proof.keyslot is not None else None
    return digest.id if digest else None


def keyslot_reasons(header: Header | None, device: str) -> Iterator[Reason]:
    """What the keyslots of the header on the device, or where that is lost, of its backup, say of the ways in."""
    if header is None or header.is_erased:
        return
    if not header.keyslots:
        yield Reason("no-keyslots", "its header has no keyslot: no passphrase opens it", "")
        return
    bound = machine_bound_keyslots(header)
    if bound >= set(header.keyslots):
        text = "only this machine's TPM opens it: a header backup is of no use when the machine is gone"
        yield Reason("tpm-only", text, f"systemd-cryptenroll --recovery-key {device}")


def weakness_notes(header: Header | None) -> Iterator[Reason]:
    """A cheap key derivation, a drive that encrypts by itself: worth knowing, and no loss."""
    for finding in weaknesses(header) if header else ():
        if finding.severity.value == "warning":
            yield Reason(finding.code, finding.text, severity="warning")

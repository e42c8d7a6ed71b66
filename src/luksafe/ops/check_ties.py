"""Whether the device that carries a header is one that its backups were made of, or that a key was tried on."""

from __future__ import annotations

from collections.abc import Iterator

from luksafe.device.identity import DeviceFacts
from luksafe.ops.check_report import Reason
from luksafe.ops.recorded_device import tie_of
from luksafe.vault.record import Device
from luksafe.vault.vault import Vault


def untied_reasons(vault: Vault, uuid: str, facts: DeviceFacts, device: str) -> Iterator[Reason]:
    """That a header alone says whose data these are: it can be written anywhere. A proof by the data settles it."""
    backups = vault.backups(uuid)
    seen = [backup.record.device for backup in backups if backup.record.device.path]
    if not seen:
        return
    seen += [proof.device for b in backups for proof in b.proofs if isinstance(proof.device, Device)]
    if any(tie_of(known, facts).is_tied for known in seen):
        return
    paths = ", ".join(dict.fromkeys(known.path for known in seen[:3]))
    text = f"only its header says that these are the data of the volume, whose backups were made of {paths}"
    yield Reason("unknown-device", text, f"luksafe prove {device}")

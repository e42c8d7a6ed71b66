"""Headers that are left of a volume: on its device, in the vault, in a packet. One that proves the key is the base."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from luksafe.crypto.kdf import KdfLimits
from luksafe.device.identity import DeviceFacts
from luksafe.errors import LuksafeError
from luksafe.luks.create import Parameters
from luksafe.luks.inspection import Inspection, inspect
from luksafe.luks.model import Header
from luksafe.luks.unlock import verify_volume_key
from luksafe.ops.keyslot_health import destroyed_keyslots
from luksafe.ops.recorded_device import backups_of_device
from luksafe.ops.same_device import DeviceMatch, compare_recorded
from luksafe.ops.workspace import Workspace
from luksafe.reader import BytesReader, Reader
from luksafe.secret import SecretBytes


@dataclass(frozen=True, slots=True)
class FoundHeader:
    """A header that may be one of the volume's; ``name`` says where it stands.

    ``device`` says of a backup whether the device at hand is the one that it was made of.
    """

    reader: Reader
    inspection: Inspection
    name: str
    device: DeviceMatch | None = None


@dataclass(frozen=True, slots=True)
class Base:
    """A header whose digest proves the volume key; ``keyslots`` are those of it that are whole."""

    found: FoundHeader
    keyslots: tuple[int, ...]

    @property
    def header(self) -> Header:
        """The header itself."""
        return self.found.inspection.require_header()

    @property
    def parameters(self) -> Parameters:
        """What it says of the data."""
        return Parameters.from_header(self.header)


def vault_headers(workspace: Workspace, facts: DeviceFacts, uuids: Iterable[str]) -> list[FoundHeader]:
    """The current backups of these volumes; where no UUID is known, those that were made of this device.

    Only current ones: an older backup holds keyslots that were removed since.
    """
    wanted = sorted({uuid for uuid in uuids if uuid})
    found: list[FoundHeader] = []
    with workspace.vault_if_readable() as vault:
        if vault is None:
            return found
        backups = [b for uuid in wanted for b in vault.current(uuid)] or list(backups_of_device(vault, facts))
        for backup in backups:
            try:
                reader = BytesReader(vault.image(backup.id).data)
            except LuksafeError:
                continue  # damaged in every store: the other headers are asked
            name = f"backup {backup.id[:12]}"
            found.append(
                FoundHeader(reader, inspect(reader), name, compare_recorded(name, backup.record.device, facts))
            )
    return found


def choose_base(
    found: Sequence[FoundHeader], volume_key: SecretBytes, stated: Parameters | None, limits: KdfLimits | None = None
) -> tuple[Base | None, tuple[str, ...]]:
    """The first header whose digest proves the key and that agrees with ``stated``; and words on the others."""
    notes: list[str] = []
    for each in found:
        why_not = _why_not(each, volume_key, stated, limits)
        if why_not:
            notes.append(f"{each.name} is not used: {why_not}")
            continue
        base = Base(each, _whole_keyslots(each))
        notes.extend(_dropped_words(base))
        return base, tuple(notes)
    return None, tuple(notes)


def _why_not(each: FoundHeader, key: SecretBytes, stated: Parameters | None, limits: KdfLimits | None) -> str:
    """Why a header is no base; empty when it is one."""
    header = each.inspection.header
    segment = header.default_segment if header else None
    digest = header.digest_of_segment(segment.id) if header and segment else None
    if header is None or segment is None or digest is None:
        return "it is damaged"
    if header.is_in_reencryption:
        return "it is in reencryption"
    try:
        if not verify_volume_key(digest, key, limits):
            return "its digest does not prove this volume key"
    except LuksafeError as problem:
        return str(problem)
    differing = list(_differences(Parameters.from_header(header), stated)) if stated else []
    return f"it proves the key, but says otherwise of {', '.join(differing)}" if differing else ""


def _differences(one: Parameters, other: Parameters) -> Iterator[str]:
    for name in ("format", "uuid", "encryption", "sector_size", "iv_tweak", "data_offset"):
        if getattr(one, name) != getattr(other, name):
            yield name.replace("_", " ")


def _whole_keyslots(each: FoundHeader) -> tuple[int, ...]:
    header = each.inspection.require_header()
    segment = header.default_segment
    digest = header.digest_of_segment(segment.id) if segment else None
    destroyed = destroyed_keyslots(each.reader, header)
    bound = digest.keyslots if digest else ()
    return tuple(k for k in bound if k not in destroyed and k in header.keyslots and header.keyslots[k].type == "luks2")


def _dropped_words(base: Base) -> Iterator[str]:
    dropped = sorted(set(base.header.keyslots) - set(base.keyslots))
    kept = ", ".join(map(str, base.keyslots)) or "none"
    yield f"keyslots kept from {base.found.name}: {kept}; its digest proves this volume key"
    if dropped:
        numbers = ", ".join(map(str, dropped))
        yield f"keyslots of {base.found.name} that go: {numbers} (destroyed, or not of this volume key)"

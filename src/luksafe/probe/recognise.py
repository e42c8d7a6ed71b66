"""Which known structures stand in a volume: filesystems, swap, RAID, LVM, partition tables, boot code, encryption."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from luksafe.probe.recognised import Kind, Recognised
from luksafe.probe.signatures import (
    apple,
    bitlocker,
    block_layers,
    boot_code,
    btrfs,
    compressed,
    disk_labels,
    dos,
    elder,
    exfat,
    ext,
    fat,
    firmware_raid,
    flash,
    gpt,
    luks,
    lvm,
    md,
    ntfs,
    optical,
    plain_magic,
    seldom,
    swap,
    xfs,
    zfs,
)
from luksafe.probe.volume import MismatchError, Volume
from luksafe.reader import Reader
from luksafe.wall import ParserStopped, walled

Probe = Callable[[Volume], Recognised]

FAMILIES = (
    luks,
    bitlocker,
    ext,
    xfs,
    btrfs,
    zfs,
    fat,
    exfat,
    ntfs,
    flash,
    apple,
    optical,
    compressed,
    elder,
    seldom,
    swap,
    lvm,
    md,
    firmware_raid,
    block_layers,
    plain_magic,
    gpt,
    dos,
    disk_labels,
    boot_code,
)
PROBES: tuple[Probe, ...] = tuple(probe for family in FAMILIES for probe in family.PROBES)

# Fewer bits than this are no evidence. About 100 probes of one volume of random bytes give a false hit with a chance
# below 100 * 2**-48, so ten to the nine such volumes give one with a chance of about 0.0004.
LEAST_BITS = 48


def recognise(
    reader: Reader, *, offset: int = 0, stopped: Callable[[ParserStopped], object] = lambda _: None
) -> list[Recognised]:
    """Everything that is recognised in the volume that begins at ``offset`` bytes of ``reader``.

    Primary structures come first, then backups (``copy == "backup"``), each by place. Any bytes are taken; a place that
    cannot be read counts as not matching. ``stopped`` hears of a probe that met what it does not foresee: whoever is
    going to write has to know that something may be there.
    """
    volume = Volume(reader, offset)
    found = _matches(volume, PROBES, stopped)
    if not any(match.offset == offset for match in found):
        found += _matches(volume, boot_code.FALLBACKS, stopped)
    return sorted(found, key=lambda match: (match.copy == "backup", match.kind is Kind.BOOT_CODE, match.offset))


def _stopped(why: ParserStopped, _probe: Probe, _volume: Volume, stopped: Callable[[ParserStopped], object]) -> None:
    stopped(why)


@walled("a signature", _stopped)
def _tried(probe: Probe, volume: Volume, _stopped: Callable[[ParserStopped], object]) -> Recognised | None:
    """What one probe sees; a fault in one takes nothing from the others."""
    try:
        return probe(volume)
    except MismatchError:
        return None


def _matches(volume: Volume, probes: Iterable[Probe], stopped: Callable[[ParserStopped], object]) -> list[Recognised]:
    found: dict[tuple[str, int], Recognised] = {}
    for probe in probes:
        match = _tried(probe, volume, stopped)
        if match is not None and match.bits >= LEAST_BITS:
            # On tiny volumes the place of a backup can be that of the primary, which comes first.
            found.setdefault((match.name, match.offset), match)
    return list(found.values())

"""What lies round a header: its key material, the data behind it, the filesystem it may be a file of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from luksafe.luks.model import Header
from luksafe.ops.keyslot_health import destroyed_keyslots
from luksafe.ops.scan.model import FoundVolume, KeyslotState
from luksafe.probe.recognise import recognise
from luksafe.probe.recognised import Kind, Recognised
from luksafe.probe.statistics import SectorClass, classify_sectors
from luksafe.reader import Reader

_SAMPLE_BYTES = 4096
_SAMPLES_AT = (0, *(_SAMPLE_BYTES << power for power in range(15)))  # 4 KiB to 64 MiB from the start of the data
_NEAR_SAMPLES = 6  # further on another volume or file may begin
_ALIGNMENT = 1 << 20
_MOST_LOOKS = 512
_PRIMARY_LOOK_BYTES = 4 << 20
_FILESYSTEM_MAGICS = (
    (1080, b"\x53\xef"),  # ext2, ext3, ext4
    (0, b"XFSB"),
    (510, b"\x55\xaa"),  # vfat, exfat, ntfs
    (65600, b"_BHRfS_M"),  # btrfs
    (1024, b"\x10\x20\xf5\xf2"),  # f2fs
)


class Surroundings:
    """Looks round the headers of one disk or file; what it recognises at a place is kept for the next header."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._looked_at: dict[int, list[Recognised]] = {}
        self.tables = [f for f in self.at(0) if f.kind is Kind.PARTITION_TABLE and f.partitions]

    def at(self, offset: int) -> list[Recognised]:
        """The structures that begin at ``offset``."""
        if offset not in self._looked_at:
            self._looked_at[offset] = recognise(self._reader, offset=offset) if offset >= 0 else []
        return self._looked_at[offset]

    def partition_starts(self) -> dict[int, int]:
        """Start and size, in bytes, of every partition of the tables on the disk."""
        return {part.offset: part.size for table in self.tables for part in table.partitions}

    def filesystem_starts(self) -> set[int]:
        """Where the filesystems begin that were met so far: no volume reaches into one."""
        return {f.start for looked in self._looked_at.values() for f in looked if _is_whole_filesystem(f)}

    def judge(self, volume: FoundVolume) -> FoundVolume:
        """The volume with its kind, the state of its keyslots, and whether its parts lie where it says."""
        header = volume.header
        if header is None:
            return volume
        keyslots = keyslot_states(self._reader, header)
        destroyed = bool(keyslots) and all(state == "destroyed" for _, state in keyslots)
        kind, why = ("backup", ()) if not volume.is_contiguous else self._kind(volume, header)
        if destroyed and volume.is_contiguous:
            why = (*why, "no key material where its keyslots are: overwritten, erased, or a file stored in pieces")
        return replace(
            volume,
            keyslots=keyslots,
            kind=kind,  # type: ignore[arg-type]
            is_contiguous=volume.is_contiguous and not destroyed,
            why=(*volume.why, *why),
        )

    def _kind(self, volume: FoundVolume, header: Header) -> tuple[str, tuple[str, ...]]:
        if header.data_offset == 0:
            return "backup", ("a detached header: its data are elsewhere",)
        data = volume.offset + header.data_offset
        if data >= self._reader.size_bytes:
            return "backup", ("nothing follows where its data should begin",)
        classes = self._data_classes(data)
        if volume.offset in self.partition_starts():
            return "volume", ("a partition begins here",)
        if classes and all(kind is SectorClass.RANDOM for kind in classes):
            return "volume", ("cipher text follows where its data begin",)
        outside = self._filesystem_round(volume.offset)
        if outside and _is_like_data(classes):
            round_it = f"the {outside.name} filesystem round it, from byte {outside.start} on, is the later one"
            return "volume", (f"cipher text follows at once where its data begin: {round_it}",)
        if outside:
            return "backup", (f"it lies inside a {outside.name} filesystem that begins at byte {outside.start}",)
        if SectorClass.RANDOM in classes:
            return "volume", ("cipher text follows where its data begin",)
        if not set(classes[:_NEAR_SAMPLES]) <= {SectorClass.ZEROS, SectorClass.FF}:
            return "backup", ("what follows where its data should begin is no cipher text",)
        return "unknown", ("only zeros follow where its data begin: never written to, or a copy of a header",)

    def _data_classes(self, start: int) -> list[SectorClass]:
        classes = []
        for distance in _SAMPLES_AT:
            try:
                block = self._reader.read_at(start + distance, _SAMPLE_BYTES)
            except OSError:
                continue
            if len(block) == _SAMPLE_BYTES:
                classes.append(SectorClass(int(classify_sectors(block, _SAMPLE_BYTES)[0])))
        return classes

    def _filesystem_round(self, offset: int) -> Recognised | None:
        """The filesystem that ``offset`` lies in: at the start, in a partition, or at a whole MiB not far before."""
        nearest = offset // _ALIGNMENT
        aligned = (number * _ALIGNMENT for number in range(max(0, nearest - _MOST_LOOKS), nearest + 1))
        starts = {0, *self.partition_starts(), *(at for at in aligned if self._may_be_filesystem(at))}
        for start in sorted((s for s in starts if s < offset), reverse=True):
            for found in self.at(start):
                end = found.start + (found.size_bytes or 0)
                if _is_whole_filesystem(found) and found.start < offset < end:
                    return found
        return None

    def _may_be_filesystem(self, offset: int) -> bool:
        """A look at the magics of the usual ones: to recognise all that there is takes a thousand times longer."""
        try:
            return any(self._reader.read_at(offset + at, len(magic)) == magic for at, magic in _FILESYSTEM_MAGICS)
        except OSError:
            return False

    def taken_over_by(self, volume: FoundVolume, others: Sequence[FoundVolume]) -> str:
        """Why a volume with its secondary header alone is one of the past; empty when nothing says so."""
        header = volume.header
        if header is None or volume.only != "secondary" or volume.is_packed:
            return ""
        end = volume.offset + header.areas_end
        inside = next((o for o in others if _is_whole(o) and volume.offset <= o.offset < end), None)
        if inside:
            return f"the volume {inside.uuid} was made later inside its header, at byte {inside.offset}"
        overwritten = any(volume.offset <= table.offset < end for table in self.tables)
        later = (o for o in others if _is_whole(o) and o.offset > volume.offset and o.offset in self.partition_starts())
        if overwritten and (other := next(later, None)):
            where = f"with the volume {other.uuid} at byte {other.offset}"
            return f"a partition table was written over its first copy, {where}"
        return self._foreign_key_material(volume)

    def _foreign_key_material(self, volume: FoundVolume) -> str:
        """Random bytes where the first copy was: the keyslots or data of a later volume with a smaller header."""
        secondary = volume.copy_named("secondary")
        if secondary is None or volume.offset < 0 or volume.copy_named("primary"):
            return ""
        try:
            before = self._reader.read_at(volume.offset, min(secondary.header_size, _PRIMARY_LOOK_BYTES))
        except OSError:
            return ""
        blocks = classify_sectors(before, _SAMPLE_BYTES).tolist()
        random = sum(kind == SectorClass.RANDOM for kind in blocks)
        if random < 4:
            return ""
        at = volume.offset + blocks.index(SectorClass.RANDOM) * _SAMPLE_BYTES
        return (
            f"its first copy was overwritten, and {random * _SAMPLE_BYTES // 1024} KiB of random bytes lie there "
            f"(from byte {at}): keyslots or data of a later volume whose header is gone"
        )


def _is_like_data(classes: Sequence[SectorClass]) -> bool:
    """Cipher text from the first byte of the data on, and nothing else than blank space near: no other file's data."""
    near = classes[:_NEAR_SAMPLES]
    blank = (SectorClass.RANDOM, SectorClass.ZEROS, SectorClass.FF)
    return bool(near) and near[0] is SectorClass.RANDOM and all(kind in blank for kind in near)


def _is_whole_filesystem(found: Recognised) -> bool:
    return found.kind is Kind.FILESYSTEM and found.copy == "primary" and bool(found.size_bytes)


def _is_whole(volume: FoundVolume) -> bool:
    return volume.header is not None and volume.only != "secondary" and volume.kind != "backup"


def keyslot_states(reader: Reader, header: Header) -> tuple[tuple[int, KeyslotState], ...]:
    """Each keyslot with key material: can it still be whole?"""
    destroyed = destroyed_keyslots(reader, header)
    states: list[tuple[int, KeyslotState]] = []
    for keyslot in header.keyslots.values():
        if keyslot.af is not None:
            states.append((keyslot.id, "destroyed" if keyslot.id in destroyed else "intact"))
    return tuple(states)

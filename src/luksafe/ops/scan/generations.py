"""Headers of one volume that stand at several places: which is the volume, which are copies, which are of the past."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from luksafe.ops.record import lineage_of
from luksafe.ops.scan.model import FoundVolume
from luksafe.vault.record import Record


def judge_generations(volumes: Sequence[FoundVolume], records: Sequence[Record] = ()) -> list[FoundVolume]:
    """The volumes, each compared with all others and with the vault: by UUID, volume key (digest) and sequence id."""
    return [_judge(volume, volumes, records) for volume in volumes]


def _judge(volume: FoundVolume, volumes: Sequence[FoundVolume], records: Sequence[Record]) -> FoundVolume:
    if volume.header is None:
        return replace(volume, why=(*volume.why, *_relatives_of_fragment(volume, volumes)))
    lineage = lineage_of(volume.header)
    same = [v for v in volumes if v is not volume and v.header is not None and lineage_of(v.header) == lineage]
    why, stale = list(volume.why), volume.stale
    later = _later_words(volume, same, [r for r in records if lineage and r.lineage == lineage])
    if lineage and later:
        stale = True
        why.append(later)
    twins = [v for v in same if v.seqid == volume.seqid]
    kind = volume.kind
    if kind == "unknown" and any(v.kind == "volume" for v in same):
        kind = "backup"
        why.append(f"a copy of the header: its volume is at {_place(next(v for v in same if v.kind == 'volume'))}")
    elif kind == "unknown" and twins:
        why.append(f"the same header stands at {_place(twins[0])} too; which of them is the volume is not decided")
    why += _conflicts(volume, volumes, lineage)
    backups = [r.id for r in records if lineage and r.lineage == lineage and r.seqid == volume.seqid]
    return replace(volume, kind=kind, stale=stale, why=tuple(why), backups=tuple(backups))


def _later_words(volume: FoundVolume, same: Sequence[FoundVolume], records: Sequence[Record]) -> str:
    """What has a higher sequence id. LUKS1 has none: two states of one header cannot be put in order."""
    if volume.format != "luks2":
        return ""
    later = max((v for v in same if v.format == "luks2"), key=lambda v: v.seqid, default=None)
    if later and later.seqid > volume.seqid:
        return (
            f"an older state of the header at {_place(later)}: sequence id {volume.seqid}, there {later.seqid}; "
            "it may open with passphrases that were removed since"
        )
    stored = max((r for r in records if r.luks == "luks2"), key=lambda r: r.seqid, default=None)
    if stored and stored.seqid > volume.seqid:
        return (
            f"the vault has a later state, backup {stored.id[:12]}: sequence id {volume.seqid} here, "
            f"{stored.seqid} there; compare them with 'luksafe diff'"
        )
    return ""


def _conflicts(volume: FoundVolume, volumes: Sequence[FoundVolume], lineage: str) -> list[str]:
    """Others with the same UUID but another volume key: which one is right, nobody can tell from here."""
    others = [
        other
        for other in volumes
        if other is not volume and other.uuid == volume.uuid and other.header and lineage_of(other.header) != lineage
    ]
    return [f"the header at {_place(o)} has the same UUID but another volume key" for o in others[:3]]


def _relatives_of_fragment(volume: FoundVolume, volumes: Sequence[FoundVolume]) -> list[str]:
    """Which header a fragment is of, told by its digests."""
    document = volume.copies[0].document
    if volume.copies[0].state != "fragment" or document is None:
        return []
    kin = [v for v in volumes if v.header is not None and v.header.document.get("digests") == document.get("digests")]
    return [f"it has the volume key of {v.uuid} at {_place(v)}" for v in kin[:3]]


def _place(volume: FoundVolume) -> str:
    return f"byte {volume.offset} of {volume.file}" if volume.file else f"byte {volume.offset}"

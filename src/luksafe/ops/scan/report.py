"""The ``scan`` object (spec/json-output.md)."""

from __future__ import annotations

from luksafe.luks.found import FoundCopy
from luksafe.luks.model import Json
from luksafe.ops.scan.model import FoundVolume, LostPartition, Scanned


def describe_scan(scanned: Scanned) -> Json:
    """The whole object: ``headers``, ``partitions``, what could not be read, the speed."""
    return {
        "headers": [_header(volume) for volume in scanned.volumes],
        "partitions": [_partition(guess) for guess in scanned.partitions],
        "key_material": [
            {"file": r.file, "start": r.start, "uuid": r.uuid, "of": r.known.name, "matched": r.matched}
            for r in scanned.remains
        ],
        "unreadable": [
            {"file": file, "offset": start, "length": end - start} for file, (start, end) in scanned.unreadable
        ],
        "skipped": [{"file": file, "why": why} for file, why in scanned.skipped],
        "cut": scanned.is_cut,
        "unlooked": scanned.unlooked,
        "bytes_read": scanned.bytes_read,
        "seconds": round(scanned.seconds, 3),
    }


def _header(volume: FoundVolume) -> Json:
    secondary = volume.copy_named("secondary")
    described: Json = {
        "file": volume.file,
        "offset": volume.offset,
        "format": volume.format,
        "uuid": volume.uuid,
        "seqid": volume.seqid,
        "copy": volume.only or ("both" if len(volume.copies) > 1 else volume.copies[0].copy),
        "stale": volume.stale,
        "why": "; ".join(volume.why),
        "kind": volume.kind,
        "usable": volume.is_usable,
        "keyslots": [{"slot": slot, "state": state} for slot, state in volume.keyslots],
        "contiguous": volume.is_contiguous,
        "packed": volume.is_packed,
        "backups": list(volume.backups),
        "copies": [_copy(copy) for copy in volume.copies],
    }
    if secondary and not volume.is_packed:
        described["secondary_offset"] = secondary.offset
    if volume.only:
        described["only"] = volume.only
    return described


def _copy(copy: FoundCopy) -> Json:
    return {
        "copy": copy.copy,
        "offset": copy.offset,
        "state": copy.state,
        "valid": copy.state == "ok",
        "seqid": copy.seqid,
        "uuid": copy.uuid,
        "why": copy.why,
    }


def _partition(guess: LostPartition) -> Json:
    return {
        "file": guess.file,
        "start": guess.start,
        "length": guess.length,
        "uuid": guess.uuid,
        "sure": guess.sure,
        "listed": guess.listed,
        "inside": guess.is_inside,
        "why": guess.start_why,
        "length_why": guess.length_why,
        "opened": guess.opened,
        "data": guess.data,
    }

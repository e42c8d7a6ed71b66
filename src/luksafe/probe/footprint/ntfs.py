"""What mkntfs and Windows write: the files of the master file table's first records, and the boot sector's copy."""

from __future__ import annotations

from luksafe.probe.footprint.model import Footprint, Ranges
from luksafe.probe.recognised import Recognised
from luksafe.probe.signatures.ntfs import attributes, file_record
from luksafe.probe.volume import MismatchError, Volume

METADATA_FILES = {
    0: "$MFT",
    1: "$MFTMirr",
    2: "$LogFile",
    4: "$AttrDef",
    5: "root directory",
    6: "$Bitmap",
    7: "$Boot",
    9: "$Secure",
    10: "$UpCase",
}
EXTENDED_FILES = range(11, 32)
MOST_RUNS = 4096

Runs = list[tuple[int, int]]  # offset and length in bytes


def ntfs(volume: Volume, found: Recognised) -> Footprint:
    """The runs of all metadata files (data, index and bitmap attributes), and the last sector of the volume."""
    g, out = found.geometry, Ranges(found.start)
    out.certain(0, g["sector_size"], "boot sector")
    out.certain(g["size_bytes"], g["sector_size"], "copy of the boot sector")
    out.certain(g["mft_offset"], 4 * g["record_bytes"], "$MFT")
    out.certain(g["mft_mirror_offset"], 4 * g["record_bytes"], "$MFTMirr")
    unread = 0
    for number in (*METADATA_FILES, *EXTENDED_FILES):
        try:
            record = file_record(volume, g, number)
        except MismatchError:
            unread += number in METADATA_FILES
            continue
        _file(record, g["cluster_bytes"], METADATA_FILES.get(number, f"metadata file {number}"), out)
    if unread:
        out.unknown(f"{unread} metadata files whose records in the master file table cannot be read")
    out.unknown("a full format (mkntfs without --quick, Windows without quick format) zeroes the whole volume")
    return out.footprint("ntfs")


def _file(record: bytes, cluster_bytes: int, what: str, out: Ranges) -> None:
    for _, attribute in attributes(record):
        if not attribute[8] or len(attribute) < 64:  # resident, or too short
            continue
        written = int.from_bytes(attribute[56:64], "little")  # initialised size
        for offset, length in _runs(attribute, cluster_bytes):
            out.certain(offset, min(length, max(0, written)), what)
            out.possible(offset + max(0, written), length - max(0, written), f"allocated to {what}")
            written -= length


def _runs(attribute: bytes, cluster_bytes: int) -> Runs:
    """The run list: pairs of a length and a signed distance from the run before, both of variable size."""
    at = int.from_bytes(attribute[32:34], "little")
    cluster, found = 0, Runs()
    while at < len(attribute) and attribute[at] and len(found) < MOST_RUNS:
        length_size, distance_size = attribute[at] & 0xF, attribute[at] >> 4
        length = int.from_bytes(attribute[at + 1 : at + 1 + length_size], "little")
        at += 1 + length_size
        cluster += int.from_bytes(attribute[at : at + distance_size], "little", signed=True)
        at += distance_size
        if distance_size:  # without a distance it is a hole
            found.append((cluster * cluster_bytes, length * cluster_bytes))
    return found

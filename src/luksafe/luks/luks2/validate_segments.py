"""Checks of the segments: each by itself, then their order and layout, then what reencryption demands."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from luksafe.luks.finding import Finding
from luksafe.luks.luks2.checks import (
    UINT64_MAX,
    Invalid,
    member,
    numbered,
    strings,
    text_member,
    uint32_member,
    uint64_member,
    uint64_text,
)
from luksafe.luks.model import Json

_COMPARED = ("type", "iv_tweak", "encryption", "sector_size", "integrity")


def check_segments(document: Json) -> Iterator[Finding]:
    """Every segment, then gaps, overlaps and backup segments (specification section 3.3)."""
    segments = member(document, "segments", "", dict)
    if not segments:
        raise Invalid("segments-empty", "segments", "there is no segment")
    for key, segment in numbered(segments, "segments"):
        _check_segment(document, key, segment)
    _check_order(document, segments)
    yield from ()


def smallest_offset(document: Json) -> int:
    """Where the first regular segment begins, in bytes. The segments must be valid."""
    regular = [s for s in document["segments"].values() if not is_backup(s)]
    return min((int(s["offset"]) for s in regular), default=0)


def is_backup(segment: Any) -> bool:
    """Whether the segment is one that reencryption only remembers."""
    flags = segment.get("flags", []) if isinstance(segment, dict) else []
    return any(isinstance(flag, str) and flag.startswith("backup-") for flag in flags)


def _check_segment(document: Json, key: str, segment: Any) -> None:
    where = f"segments.{key}"
    kind = text_member(segment, "type", where)
    offset = uint64_member(segment, "offset", where)
    size = _size(segment, where)
    if offset % 512:
        raise Invalid("segment-alignment", f"{where}.offset", f"offset {offset} is no multiple of 512")
    if size % 512:
        raise Invalid("segment-alignment", f"{where}.size", f"size {size} is no multiple of 512")
    strings(segment, "flags", where)
    if kind == "crypt" or kind == "hw-opal-crypt":
        _check_crypt(document, key, segment, size)
    if kind.startswith("hw-opal"):
        _check_opal(segment, where, size)


def _size(segment: Any, where: str) -> int:
    """The size in bytes; 0 for ``dynamic``."""
    text = text_member(segment, "size", where)
    if text == "dynamic":
        return 0
    size = uint64_text(text, f"{where}.size")
    if size == 0:
        raise Invalid("segment-size", f"{where}.size", "the size is 0")
    return size


def _check_crypt(document: Json, key: str, segment: Any, size: int) -> None:
    where = f"segments.{key}"
    text_member(segment, "iv_tweak", where)
    text_member(segment, "encryption", where)
    sector_size = uint32_member(segment, "sector_size", where)
    if "integrity" in segment:
        integrity = member(segment, "integrity", where, dict)
        for name in ("type", "journal_encryption", "journal_integrity"):
            text_member(integrity, name, f"{where}.integrity")
    if sector_size == 0 or sector_size % 512:
        raise Invalid("sector-size", f"{where}.sector_size", f"{sector_size} is no legal sector size")
    uint64_member(segment, "iv_tweak", where)
    if size % sector_size:
        raise Invalid("segment-alignment", f"{where}.size", f"size {size} is no multiple of the sector size")
    if not any(key in digest.get("segments", []) for digest in document["digests"].values()):
        raise Invalid("segment-without-digest", where, "no digest belongs to this segment")


def _check_opal(segment: Any, where: str, size: int) -> None:
    if size == 0:
        raise Invalid("segment-size", f"{where}.size", "an OPAL segment has a fixed size")
    member(segment, "opal_segment_number", where, int)
    member(segment, "opal_key_size", where, int)
    range_size = uint64_member(segment, "opal_segment_size", where)
    if range_size == 0:
        raise Invalid("segment-size", f"{where}.opal_segment_size", "the OPAL locking range has no bytes")
    if size > range_size:
        raise Invalid("segment-size", f"{where}.size", "the segment is larger than its OPAL locking range")


def _check_order(document: Json, segments: dict[str, Any]) -> None:
    ids = sorted(int(key) for key in segments)
    if ids != list(range(len(ids))):
        missing = next(number for number, found in enumerate([*ids, -1]) if number != found)
        raise Invalid("segment-gap", "segments", f"there is no segment {missing}")
    in_order = [segments[str(number)] for number in ids]
    regular = [s for s in in_order if not is_backup(s)]
    backups = in_order[len(regular) :]
    if not regular:
        raise Invalid("segments-empty", "segments", "there is no regular segment")
    if not all(is_backup(s) for s in backups):
        raise Invalid("segment-order", "segments", "a regular segment stands behind a backup segment")
    _check_layout(regular)
    _check_reencryption(document, regular, backups)


def _check_layout(regular: list[Any]) -> None:
    spans = [(int(s["offset"]), UINT64_MAX if s["size"] == "dynamic" else int(s["size"])) for s in regular]
    for number, (start, length) in enumerate(spans):
        if length == UINT64_MAX and number != len(spans) - 1:
            raise Invalid("segment-size", f"segments.{number}.size", "only the last segment may be dynamic")
        if length != UINT64_MAX and start + length > UINT64_MAX and len(spans) > 1:
            raise Invalid("segment-overlap", f"segments.{number}", "offset and size overflow")
        for other, (other_start, other_length) in enumerate(spans):
            if other != number and other_start <= start < other_start + other_length:
                raise Invalid("segment-overlap", f"segments.{number}", f"segments {other} and {number} overlap")


def _check_reencryption(document: Json, regular: list[Any], backups: list[Any]) -> None:
    mandatory = document["config"].get("requirements", {}).get("mandatory", [])
    # validated by name here: the first version of the requirement had no such segments
    if not any(name in ("online-reencrypt-v2", "online-reencrypt-v3") for name in mandatory):
        return
    by_flag = {flag: s for s in backups for flag in s["flags"] if flag in ("backup-final", "backup-previous")}
    if len(by_flag) != 2:
        raise Invalid("backup-segment-missing", "segments", "reencryption without its two backup segments")
    for number, segment in enumerate(regular):
        in_hot_zone = "in-reencryption" in segment.get("flags", [])
        targets = [by_flag["backup-final"]] + ([] if in_hot_zone else [by_flag["backup-previous"]])
        if not any(_same_parameters(segment, target) for target in targets):
            raise Invalid("segment-foreign", f"segments.{number}", "the segment fits no backup segment")


def _same_parameters(one: Any, other: Any) -> bool:
    """Same type, and for crypt segments the same cipher and sector size; offsets differ by nature."""
    if one["type"] != other["type"]:
        return False
    return bool(one["type"] != "crypt") or all(
        one.get(name) == other.get(name) for name in _COMPARED if name != "iv_tweak"
    )

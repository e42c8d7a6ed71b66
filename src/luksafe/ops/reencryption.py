"""A reencryption that has begun and not ended: how far it is, and the command with which it goes on."""

from __future__ import annotations

import shlex
from pathlib import Path

from luksafe.luks.model import Header, Segment

_WORDS = {"encrypt": "encryption in place", "decrypt": "decryption"}


def progress_words(header: Header, device_size_bytes: int) -> str:
    """What was begun, and how much of the data has it behind it."""
    keyslot = next((k for k in header.keyslots.values() if k.type == "reencrypt"), None)
    what = _WORDS.get(str(keyslot.raw.get("mode", "")), "reencryption") if keyslot else "reencryption"
    if not any("backup-final" in segment.flags for segment in header.segments.values()):
        return f"{what} was begun and has not ended"
    segments = header.data_segments
    done = sum(_size(s, device_size_bytes) for s in segments if _is_done(header, s))
    total = sum(_size(s, device_size_bytes) for s in segments)
    percent = 100 * done // total if total else 0
    return f"{what} was begun and has not ended: {done} of {total} bytes ({percent} %) are done"


def resume_command(header: Header, device: str, header_place: str) -> str:
    """The command of cryptsetup with which it goes on; ``device`` holds the data, ``header_place`` the header.

    A piece at which it was interrupted is put in order first, and a file is never in use, which has to be said.
    """
    at = ["--header", header_place] if header_place != device else []
    if any("in-reencryption" in segment.flags for segment in header.segments.values()):
        return shlex.join(["cryptsetup", "repair", *at, device])
    force = ["--force-offline-reencrypt"] if _is_file(device) else []
    return shlex.join(["cryptsetup", "reencrypt", "--resume-only", *force, *at, device])


def _is_done(header: Header, segment: Segment) -> bool:
    """Whether a piece of the data is as all of it will be."""
    if "in-reencryption" in segment.flags:
        return False
    final = next(s for s in header.segments.values() if "backup-final" in s.flags)
    if segment.type != final.type:
        return False
    return header.digest_of_segment(segment.id) == header.digest_of_segment(final.id)


def _size(segment: Segment, device_size_bytes: int) -> int:
    return segment.size if segment.size is not None else max(0, device_size_bytes - segment.offset)


def _is_file(path: str) -> bool:
    try:
        return Path(path).is_file()
    except OSError:
        return False

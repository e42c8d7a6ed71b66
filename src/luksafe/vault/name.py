"""The names of files in a vault (spec/vault.md, section 1). Checked on the way in and when listed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePath

NO_UUID = "no-uuid"
MAX_GENERATION = 999

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_ID = r"[0-9a-f]{32}(?:-[2-9]|-[1-9][0-9]{1,2})?"
_NAME = re.compile(
    rf"(?P<volume>{_UUID.pattern}|{NO_UUID})/(?P<id>{_ID})"
    r"(?P<suffix>\.hdr\.gz|\.json|\.forgotten\.json|\.age|\.p7m|\.(?:proof|seen|public)-(?P<tag>[0-9a-f]{16})\.json)"
)
_STRAY = re.compile(
    rf"(?P<volume>{_UUID.pattern}|{NO_UUID})/(?P<leftover>\.new-[0-9a-f]{{16}}-)?(?P<id>{_ID})\.[a-z0-9.-]{{1,80}}"
)


class Kind(StrEnum):
    """What a file of a backup or of an escrow packet is; the value begins its suffix."""

    IMAGE = ".hdr.gz"
    RECORD = ".json"
    TOMBSTONE = ".forgotten.json"
    PROOF = ".proof-"
    SIGHTING = ".seen-"
    SEALED_AGE = ".age"
    SEALED_CMS = ".p7m"
    PUBLIC_PART = ".public-"


SEALED = (Kind.SEALED_AGE, Kind.SEALED_CMS)
PACKET = (*SEALED, Kind.PUBLIC_PART)
"""The files of an escrow packet, which has an id of its own (section 2.4)."""


@dataclass(frozen=True, slots=True, order=True)
class Name:
    """The name of one file: its volume folder, the id of its backup, its kind, and the tag of one of several files."""

    volume: str
    id: str
    kind: Kind
    tag: str = ""

    def __str__(self) -> str:
        end = f"{self.tag}.json" if self.tag else ""
        return f"{self.volume}/{self.id}{self.kind}{end}"

    @property
    def event(self) -> str:
        """The name of a record or sighting as an event (section 7): its file name without ``.json``."""
        return str(self).partition("/")[2].removesuffix(".json")


def parse_name(text: str) -> Name | None:
    """The name that ``text`` spells; None when it is not one of a vault."""
    match = _NAME.fullmatch(text)
    if match is None:
        return None
    suffix, tag = match["suffix"], match["tag"] or ""
    kind = Kind(suffix.partition(tag)[0]) if tag else Kind(suffix)
    return Name(match["volume"], match["id"], kind, tag)


def stray_id(text: str) -> str:
    """The id of the backup that a leftover, a file set aside or one of an unknown kind belongs to; else empty."""
    match = _STRAY.fullmatch(text)
    return match["id"] if match and parse_name(text) is None else ""


def is_leftover(file_name: str) -> bool:
    """Whether a file name, without its folder, is that of an unfinished write."""
    return re.match(r"\.new-[0-9a-f]{16}-", file_name) is not None


def is_volume(text: str) -> bool:
    """Whether ``text`` may name a volume folder."""
    return text == NO_UUID or _UUID.fullmatch(text) is not None


def is_like_file(text: str) -> bool:
    """Whether what names nothing that exists was meant for a file: it is a path, or has a suffix as files have."""
    return "/" in text or bool(PurePath(text).suffix)


def is_uuid(text: str) -> bool:
    """Whether ``text`` is a UUID in its usual spelling, in either case."""
    return _UUID.fullmatch(text.lower()) is not None


def volume_folder(uuid: str) -> str:
    """The folder of a volume whose header says this UUID."""
    return uuid.lower() if is_uuid(uuid) else NO_UUID


def image_id(sha256_hex: str, generation: int = 1) -> str:
    """The id of an image; ``generation`` 2 and up for one that is kept again after it had been forgotten."""
    return sha256_hex[:32] + (f"-{generation}" if generation > 1 else "")


def base_id(backup_id: str) -> str:
    """The id without its generation: the beginning of the image's SHA-256."""
    return backup_id[:32]


def is_id(text: str) -> bool:
    """Whether ``text`` is a whole id of a backup."""
    return re.fullmatch(_ID, text) is not None

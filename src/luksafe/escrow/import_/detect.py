"""What an unknown file is, so that whole folders can be imported."""

from __future__ import annotations

from typing import Literal

from luksafe.errors import UsageError
from luksafe.escrow.import_.luksdump import is_luksdump
from luksafe.escrow.import_.raw_key import is_raw_key
from luksafe.escrow.recipients.interface import AGE_ARMOR, AGE_INTRO
from luksafe.escrow.recovery_key import read_recovery_key
from luksafe.escrow.volume_key.packet import is_volume_key_packet
from luksafe.wall import walled

Kind = Literal["volume_key", "packet", "luksdump", "recovery-key", "csv", "raw-key", "unknown"]


@walled("a file to import")
def detect(data: bytes) -> Kind:
    """The kind of file, by its content alone."""
    if is_volume_key_packet(data):
        return "volume_key"
    if data.startswith((AGE_INTRO, AGE_ARMOR)):
        return "packet"
    text = _text(data)
    if text is not None and is_luksdump(text):
        return "luksdump"
    if text is not None and _is_recovery_key(text):
        return "recovery-key"
    if is_raw_key(data):
        return "raw-key"
    if data.startswith((b"\x30\x82", b"\x30\x83")):
        return "packet"
    return "csv" if text is not None and "," in text.split("\n", 1)[0] else "unknown"


def _text(data: bytes) -> str | None:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None


def _is_recovery_key(text: str) -> bool:
    try:
        read_recovery_key(text[:400]).wipe()
    except UsageError:
        return False
    return True

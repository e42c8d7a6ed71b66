"""The text of ``cryptsetup luksDump --dump-volume-key`` (older: ``--dump-master-key``), for LUKS1 and LUKS2.

It lacks the sector size, the IV offset and the format: those come from a header backup, or have to be found out.
"""

from __future__ import annotations

import re

from luksafe.errors import DamagedInput
from luksafe.escrow.import_.model import ImportedSecret
from luksafe.secret import SecretBytes
from luksafe.wall import walled

SECTOR_BYTES = 512
MAX_TEXT = 1 << 20
_START = re.compile(r"^(?:MK|Volume key) dump:", re.IGNORECASE | re.MULTILINE)
_FIELD = re.compile(r"^([A-Za-z ]+):[ \t]*(.*?)[ \t]*$", re.MULTILINE)
_HEX_LINE = re.compile(r"(?:[0-9a-fA-F]{2}[ \t]*)+")


def is_luksdump(text: str) -> bool:
    """Whether a text has a volume key dump in it."""
    return _START.search(text) is not None


@walled("a dump of a volume key")
def read_luksdump(text: str) -> ImportedSecret:
    """The volume key and what stands above it; raises DamagedInput, also where the key has not the stated size."""
    start = _START.search(text[:MAX_TEXT])
    if start is None:
        raise DamagedInput("there is no volume key in this text", hint="it is printed by luksDump --dump-volume-key")
    fields = {name.strip().lower(): value for name, value in _FIELD.findall(text[: start.start()])}
    with SecretBytes(_hex_lines(text[start.end() :])) as key:
        bits = _number(fields.get("mk bits") or fields.get("volume key bits"))
        if not key or (bits is not None and bits != len(key) * 8):
            raise DamagedInput(f"the dump has {len(key) * 8} bits of volume key, and says that it has {bits or 'some'}")
        offset = _number(fields.get("payload offset"))
        names = (fields.get("cipher name", ""), fields.get("cipher mode", ""))
        return ImportedSecret(
            kind="volume-key",
            secret=SecretBytes(key.view),
            source="cryptsetup luksDump",
            uuid=fields.get("uuid", ""),
            cipher="-".join(names) if all(names) else "",
            key_bits=len(key) * 8,
            data_offset=None if offset is None else offset * SECTOR_BYTES,
        )


def _hex_lines(text: str) -> bytes:
    """The bytes of the lines that are nothing but hexadecimal pairs, up to the first that is not."""
    found = b""
    for line in text.splitlines():
        if not _HEX_LINE.fullmatch(line.strip()):
            break
        found += bytes.fromhex(line)
    return found


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 16 else None

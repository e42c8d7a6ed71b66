"""A dm-crypt table line, as ``dmsetup table --showkeys`` prints it and the kernel gives it.

``<start> <length> crypt <cipher> <key> <iv_offset> <device> <offset> [<count> <options>…]``, see the kernel's
admin-guide/device-mapper/dm-crypt. All sectors here have 512 bytes, whatever the encryption sector size is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Literal

from luksafe.errors import DamagedInput
from luksafe.secret import SecretBytes
from luksafe.wall import walled

Buffer = bytes | bytearray | memoryview

_MAX_LINE_BYTES = 1 << 16
_MAX_KEY_BYTES = 4096
_NIBBLES = {ord(digit): int(digit, 16) for digit in "0123456789abcdefABCDEF"}
_KEYRING_KEY = re.compile(r":(\d{1,5}):(logon|user|trusted|encrypted):(.+)", re.DOTALL)

KeyPlace = Literal["table", "keyring", "zeros", "none"]


@dataclass(frozen=True, slots=True)
class MappingKey:
    """Where the key is. ``table``: in ``secret``. ``keyring``: under ``type`` and ``description``, not readable here.

    ``zeros``: not shown; ``luksSuspend`` wiped it, or dmsetup hid it. ``none``: the cipher needs none.
    """

    place: KeyPlace
    size_bytes: int
    type: str = ""
    description: str = ""
    secret: SecretBytes | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class CryptTable:
    """One crypt target. ``device`` is ``major:minor`` or a path; ``flags`` are options without a value.

    With integrity, each sector has ``integrity_tag_bytes`` of metadata, of type ``aead`` or ``none``.
    """

    start_sector: int
    length_sectors: int
    cipher: str
    key: MappingKey
    iv_offset_sectors: int
    device: str
    offset_sectors: int
    sector_size: int = 512
    iv_large_sectors: bool = False
    integrity_tag_bytes: int = 0
    integrity_type: str = ""
    integrity_key_bytes: int = 0
    flags: tuple[str, ...] = ()
    other_options: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The table as a JSON object, without the key's bytes."""
        key = {name: getattr(self.key, name) for name in ("place", "size_bytes", "type", "description")}
        return {**{name: getattr(self, name) for name in self.__slots__}, "key": key}


@walled("a dm-crypt table")
def parse_crypt_table(line: Buffer | str) -> CryptTable:
    """Read one line of ``dmsetup table``. Give a ``bytearray`` to be able to wipe it: the key is copied once, into
    ``SecretBytes``. Raises ``DamagedInput``, never showing the line.
    """
    with memoryview(line.encode() if isinstance(line, str) else line) as whole:
        fields = _split(whole)
        if len(fields) < 3 or bytes(fields[2]) != b"crypt":
            raise _damaged("no crypt target")
        return _parse(_number(fields[0], "start"), _number(fields[1], "length"), fields[3:])


@walled("the parameters of a dm-crypt table")
def parse_crypt_parameters(start_sector: int, length_sectors: int, parameters: Buffer) -> CryptTable:
    """Read what follows the word ``crypt``. Raises ``DamagedInput``."""
    with memoryview(parameters) as whole:
        return _parse(start_sector, length_sectors, _split(whole))


def _parse(start_sector: int, length_sectors: int, fields: list[memoryview]) -> CryptTable:
    if len(fields) < 5:
        raise _damaged(f"{len(fields)} fields where there should be five or more")
    cipher, key, iv_offset, device, offset = fields[:5]
    return CryptTable(
        start_sector=start_sector,
        length_sectors=length_sectors,
        cipher=_text(cipher),
        key=_key(key),
        iv_offset_sectors=_number(iv_offset, "IV offset"),
        device=_text(device),
        offset_sectors=_number(offset, "offset"),
        **_options([_text(option) for option in fields[5:]]),
    )


def _options(words: list[str]) -> dict[str, Any]:
    if words and words[0] != str(len(words) - 1):
        raise _damaged("another number of options than it states")
    found: dict[str, Any] = {}
    flags: list[str] = []
    others: list[str] = []
    for word in words[1:]:
        name, colon, value = word.partition(":")
        match name:
            case "iv_large_sectors":
                found["iv_large_sectors"] = True
            case "sector_size":
                found["sector_size"] = _number(value.encode(), "sector size")
            case "integrity":
                tag, _, found["integrity_type"] = value.partition(":")
                found["integrity_tag_bytes"] = _number(tag.encode(), "integrity tag size")
            case "integrity_key_size":
                found["integrity_key_bytes"] = _number(value.encode(), "integrity key size")
            case _:
                (others if colon else flags).append(word)
    return {**found, "flags": tuple(flags), "other_options": tuple(others)}


def _key(field: memoryview) -> MappingKey:
    if bytes(field[:2]) == b"-":
        return MappingKey("none", 0)
    if field[0] == ord(":"):
        match = _KEYRING_KEY.fullmatch(_text(field))
        if not match:
            raise _damaged("a keyring key that is not :SIZE:TYPE:DESCRIPTION")
        return MappingKey("keyring", int(match[1]), match[2], match[3])
    if len(field) % 2 or len(field) > 2 * _MAX_KEY_BYTES:
        raise _damaged("a key of an impossible length")
    secret = SecretBytes.take(_unhex(field))
    if any(secret.view):
        return MappingKey("table", len(secret), secret=secret)
    return MappingKey("zeros", len(secret))


def _unhex(digits: memoryview) -> bytearray:
    """Digit by digit: ``fromhex`` and ``unhexlify`` leave copies of the key that cannot be wiped."""
    out = bytearray(len(digits) // 2)
    try:
        for at in range(len(out)):
            out[at] = _NIBBLES[digits[2 * at]] << 4 | _NIBBLES[digits[2 * at + 1]]
    except KeyError:
        out[:] = bytes(len(out))
        raise _damaged("a key that is not hexadecimal") from None
    return out


def _split(line: memoryview) -> list[memoryview]:
    """The fields between spaces, as views: the key's field is not copied."""
    if len(line) > _MAX_LINE_BYTES:
        raise _damaged(f"a line of more than {_MAX_LINE_BYTES} bytes")
    fields, start = [], None
    for at, byte in enumerate(line):
        if byte in b" \n\0" and start is not None:
            fields.append(line[start:at])
            start = None
        elif byte not in b" \n\0" and start is None:
            start = at
    if start is not None:
        fields.append(line[start:])
    return fields


def _number(field: memoryview | bytes, what: str) -> int:
    text = bytes(field[:21])
    if not text.isdigit() or len(text) > 20 or int(text) >= 1 << 64:
        raise _damaged(f"{what} is no number")
    return int(text)


def _text(field: memoryview) -> str:
    return bytes(field).decode(errors="replace")


def _damaged(why: str) -> DamagedInput:
    return DamagedInput(f"not a dm-crypt table line: {why}", hint="it is a line of: dmsetup table --showkeys")

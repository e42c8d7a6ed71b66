"""The kernel's device-mapper interface (linux/dm-ioctl.h), of which only "show me the table" is used.

``dmsetup`` would do as well, but would take a key through a pipe and copies that nobody wipes.
"""

from __future__ import annotations

import fcntl
import os
import struct
from dataclasses import dataclass

from luksafe.device.opening import opening_error
from luksafe.errors import LuksafeError, NotFound

_CONTROL = "/dev/mapper/control"
_DM_TABLE_STATUS = 0xC138FD0C  # _IOWR(0xfd, 12, struct dm_ioctl)
_HEADER = struct.Struct("=3I3Ii3IQ128s129s7x")  # struct dm_ioctl, 312 bytes
_TARGET = struct.Struct("=QQiI16s")  # struct dm_target_spec
_STATUS_TABLE, _BUFFER_FULL, _NO_FLUSH, _SECURE_DATA = 1 << 4, 1 << 8, 1 << 11, 1 << 15
_FIRST_BUFFER_BYTES = 1 << 14
_MAX_BUFFER_BYTES = 1 << 24


@dataclass(frozen=True, slots=True)
class Target:
    """One line of a table. ``parameters`` of a crypt target can hold a key: ``wipe`` when done."""

    start_sector: int
    length_sectors: int
    type: str
    parameters: bytearray

    def wipe(self) -> None:
        """Overwrite the parameters with zeros."""
        self.parameters[:] = bytes(len(self.parameters))

    def __repr__(self) -> str:
        return f"<{self.type} target, {self.start_sector} + {self.length_sectors}>"


def read_table(major: int, minor: int) -> list[Target]:
    """The active table of a device-mapper device. Needs root. Raises ``NotFound`` when the device has gone."""
    try:
        control = os.open(_CONTROL, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise opening_error(_CONTROL, error) from error
    try:
        return _ask(control, major, minor)
    finally:
        os.close(control)


def _ask(control: int, major: int, minor: int) -> list[Target]:
    size = _FIRST_BUFFER_BYTES
    while size <= _MAX_BUFFER_BYTES:
        buffer = bytearray(size)
        flags = _STATUS_TABLE | _NO_FLUSH | _SECURE_DATA
        number = minor & 0xFF | major << 8 | (minor & ~0xFF) << 12
        _HEADER.pack_into(buffer, 0, 4, 0, 0, size, _HEADER.size, 0, 0, flags, 0, 0, number, b"", b"")
        try:
            fcntl.ioctl(control, _DM_TABLE_STATUS, buffer, True)
            if not _HEADER.unpack_from(buffer)[7] & _BUFFER_FULL:
                return _targets(buffer)
        except OSError as error:
            if isinstance(error, PermissionError):
                raise opening_error(_CONTROL, error) from error
            raise NotFound(f"device-mapper has no device {major}:{minor} any more", hint="see: dmsetup ls") from error
        finally:
            buffer[:] = bytes(size)
        size *= 4
    raise LuksafeError(f"the table of device {major}:{minor} is longer than {_MAX_BUFFER_BYTES} bytes")


def _targets(buffer: bytearray) -> list[Target]:
    header = _HEADER.unpack_from(buffer)
    data_start, count = header[4], header[5]
    found, at = [], data_start
    for _ in range(count):
        start, length, _, following, kind = _TARGET.unpack_from(buffer, at)
        text = at + _TARGET.size
        end = buffer.index(0, text)
        found.append(Target(start, length, kind.rstrip(b"\0").decode(), buffer[text:end]))
        at = data_start + following
    return found

"""Which kind of memory image a file is, told by its magic, and opening it."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

from luksafe.errors import Unsupported, UsageError
from luksafe.memory.access import explain
from luksafe.memory.image import MemoryImage
from luksafe.memory.sources import (
    devmem,
    elfcore,
    flattened,
    hibernation,
    kcore,
    kdump,
    libvirt_save,
    lime,
    qemu_stream,
)
from luksafe.memory.sources.raw import open_raw
from luksafe.wall import walled

_OPENERS: tuple[tuple[bytes, Callable[[Path], MemoryImage]], ...] = (
    (lime.MAGIC, lime.open_lime),
    (elfcore.MAGIC, elfcore.open_elfcore),
    (kdump.MAGIC, kdump.open_kdump),
    (flattened.MAGIC, kdump.open_kdump),
    (qemu_stream.MAGIC, qemu_stream.open_qemu_stream),
    (libvirt_save.MAGIC, libvirt_save.open_libvirt_save),
)

_FOREIGN = (
    (libvirt_save.PARTIAL_MAGIC, "an unfinished libvirt save image", "Save or dump the domain again."),
    (b"AVML", "a compressed AVML image", "Convert it: avml-convert IMAGE DUMP.lime"),
    (b"DISKDUMP", "a diskdump file", "Convert it with makedumpfile or crash."),
    (b"QFI\xfb", "a qcow2 image", "Load its snapshot in QEMU and dump it: dump-guest-memory FILE"),
    (b"\x1f\x8b", "compressed with gzip", "Unpack it first: gzip -dk FILE"),
    (b"BZh", "compressed with bzip2", "Unpack it first: bzip2 -dk FILE"),
    (b"\xfd7zXZ\0", "compressed with xz", "Unpack it first: xz -dk FILE"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd", "Unpack it first: zstd -dk FILE"),
    (b"\x04\x22\x4d\x18", "compressed with lz4", "Unpack it first: lz4 -dk FILE"),
    (b"\x89LZO\0", "compressed with lzop", "Unpack it first: lzop -dk FILE"),
)


def open_memory(path: Path, *, as_raw: bool = False) -> MemoryImage:
    """The memory image at ``path``; with ``as_raw`` every byte of it, whatever its magic says.

    Raises ``Unsupported``, ``DamagedInput``, ``NotFound``, or says in words why the kernel does not allow it.
    """
    try:
        return open_raw(_seekable(path)) if as_raw else _open(path)
    except OSError as error:
        raise explain(path, error) from error


@walled("a memory image")
def _open(path: Path) -> MemoryImage:
    if path.resolve() == kcore.KCORE:
        return kcore.open_kcore()
    mode = path.stat()
    if stat.S_ISCHR(mode.st_mode) and mode.st_rdev == os.makedev(1, 1):
        return devmem.open_devmem(path)
    raw = open_raw(_seekable(path))
    start = raw.read_at(0, 4096)
    raw.close()
    for magic, opener in _OPENERS:
        if start.startswith(magic):
            return opener(path)
    for magic, what, hint in _FOREIGN:
        if start.startswith(magic):
            raise Unsupported(f"{path} is {what}", hint=hint)
    if start[hibernation.SIGNATURE_OFFSET :] in (hibernation.HIBERNATED, hibernation.SWAP):
        return hibernation.open_swap(path)
    return raw


def _seekable(path: Path) -> Path:
    mode = path.stat().st_mode
    if stat.S_ISREG(mode) or stat.S_ISBLK(mode):
        return path
    raise UsageError(f"{path} is neither a file nor a block device: a memory image is read in any order")

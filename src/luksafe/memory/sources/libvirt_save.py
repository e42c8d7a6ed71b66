"""libvirt's save images (``virsh save``, ``managedsave``): a header, the domain's XML, then QEMU's migration stream.

Header, 92 bytes in the host's byte order (libvirt, src/qemu/qemu_saveimage.h): magic, version, bytes of XML, was
running, compression, cookie offset, unused.
"""

from __future__ import annotations

import struct
from pathlib import Path

from luksafe.errors import DamagedInput, Unsupported
from luksafe.memory.sources.qemu_stream import PagedImage, open_qemu_stream
from luksafe.memory.sources.raw import open_raw

MAGIC = b"LibvirtQemudSave"
PARTIAL_MAGIC = b"LibvirtQemudPart"

_HEADER_BYTES = 92
_FIELDS = struct.Struct("<5I")
_COMPRESSION = {1: "gzip", 2: "bzip2", 3: "xz", 4: "lzop", 5: "zstd"}


def open_libvirt_save(path: Path) -> PagedImage:
    """The pages in a save image. Raises ``DamagedInput``, ``Unsupported`` when it is compressed."""
    header = open_raw(path).read_at(0, _HEADER_BYTES)
    if len(header) < _HEADER_BYTES:
        raise DamagedInput("the libvirt save image is cut short in its header")
    _version, xml_bytes, _running, compression, _cookie = _FIELDS.unpack_from(header, len(MAGIC))
    start = _HEADER_BYTES + xml_bytes
    if compression in _COMPRESSION:
        name = _COMPRESSION[compression]
        raise Unsupported(
            f"the libvirt save image is compressed with {name}",
            hint=f"Unpack what follows its header, and search that: tail -c +{start + 1} IMAGE | {name} -d > STREAM",
        )
    if compression:
        raise Unsupported(
            f"the libvirt save image is stored by method {compression}, which is not known here",
            hint="Restore the domain and dump it: virsh dump --memory-only",
        )
    return open_qemu_stream(path, start)

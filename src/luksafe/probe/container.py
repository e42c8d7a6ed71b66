"""Files that hold an image of a disk in another form: what they are called, and how they are unpacked."""

from __future__ import annotations

from dataclasses import dataclass

from luksafe.reader import Reader

_HEAD_BYTES = 512


@dataclass(frozen=True, slots=True)
class Container:
    """``name`` is what it is called, ``is_disk`` whether it is a format for disks alone (others pack any file)."""

    name: str
    text: str
    is_disk: bool


_QCOW2 = Container("qcow2", "a disk image of QEMU (qcow2)", True)
_VMDK = Container("vmdk", "a disk image of VMware (vmdk)", True)
_VHD = Container("vpc", "a disk image of Hyper-V or Virtual PC (vhd)", True)
_VHDX = Container("vhdx", "a disk image of Hyper-V (vhdx)", True)
_VDI = Container("vdi", "a disk image of VirtualBox (vdi)", True)
_EWF = Container("ewf", "a forensic image (E01, EWF)", True)
GZIP = Container("gzip", "a file packed by gzip", False)
_XZ = Container("xz", "a file packed by xz", False)
_ZSTD = Container("zstd", "a file packed by zstd", False)
_BZIP2 = Container("bzip2", "a file packed by bzip2", False)
_LZ4 = Container("lz4", "a file packed by lz4", False)
_MAGICS: tuple[tuple[int, bytes, Container], ...] = (
    (0, b"QFI\xfb\0\0\0", _QCOW2),
    (0, b"KDMV\x01\0\0\0", _VMDK),
    (0, b"KDMV\x02\0\0\0", _VMDK),
    (0, b"KDMV\x03\0\0\0", _VMDK),
    (0, b"# Disk DescriptorFile", _VMDK),
    (0, b"conectix\0\0\0\x02\0\x01\0\0", _VHD),
    (0, b"vhdxfile", _VHDX),
    (0x40, b"\x7f\x10\xda\xbe", _VDI),
    (0, b"EVF\x09\x0d\x0a\xff\0", _EWF),
    (0, b"EVF2\x0d\x0a\x81\0", _EWF),
    (0, b"\x1f\x8b\x08", GZIP),
    (0, b"\xfd7zXZ\0", _XZ),
    (0, b"\x28\xb5\x2f\xfd", _ZSTD),
    (0, b"\x04\x22\x4d\x18", _LZ4),
)


def recognise_container(reader: Reader) -> Container | None:
    """The form in which the bytes of a disk are packed here; None where they are bare, or cannot be read."""
    try:
        head = reader.read_at(0, _HEAD_BYTES)
    except OSError:
        return None
    for offset, magic, container in _MAGICS:
        if head[offset : offset + len(magic)] == magic and _is_whole(container, head):
            return container
    if head[:3] == b"BZh" and head[4:10] == b"1AY&SY":
        return _BZIP2
    return None


def _is_whole(container: Container, head: bytes) -> bool:
    """Whether a short magic is followed by what belongs there: random bytes begin like a gzip file once in 2**24."""
    if container is GZIP:
        return head[3] & 0xE0 == 0 and head[8] in (0, 2, 4) and (head[9] <= 13 or head[9] == 255)
    if container is _VDI:
        return head[:4] == b"<<< "
    if container is _ZSTD:
        return head[4] & 0x08 == 0
    if container is _LZ4:
        return head[4] >> 6 == 1
    return True

"""ISO 9660 (ECMA-119) and UDF (ECMA-167, OSTA UDF), both announced from byte 32768 on."""

from __future__ import annotations

from binascii import crc_hqx

from luksafe.probe.recognised import Kind, Recognised
from luksafe.probe.structure import Structure
from luksafe.probe.volume import MismatchError, Volume

DESCRIPTORS_OFFSET = 32768
SECTOR_BYTES = 2048
MOST_DESCRIPTORS = 64
TERMINATOR = 255
JOLIET_LABEL_LENGTH = 16
JOLIET_ESCAPES = (b"%/@", b"%/C", b"%/E")
UDF_BLOCK_SIZES = (512, 1024, 2048, 4096)
ANCHOR_BLOCK = 256
ANCHOR_TAG, PRIMARY_TAG, LOGICAL_TAG = 2, 1, 6


def iso9660(volume: Volume) -> Recognised:
    """The primary volume descriptor: every number stands in it twice, in both byte orders."""
    s = Structure(volume, DESCRIPTORS_OFFSET, SECTOR_BYTES)
    s.magic(0, b"\x01CD001\x01", "primary volume descriptor")
    blocks, block_size = s.u32(80), s.u16(128)
    s.check(f"{blocks} blocks in both byte orders", blocks == int.from_bytes(s.data[84:88]), 32)
    s.check(f"block size {block_size} in both byte orders", block_size == int.from_bytes(s.data[130:132]), 16)
    s.check("block size is a power of two", block_size in UDF_BLOCK_SIZES, 14)
    joliet = _joliet_label(volume)
    label = s.text(40, 32, "ascii")
    return s.recognised(
        "iso9660",
        Kind.FILESYSTEM,
        label=label if joliet is None else _longer(joliet, label),
        uuid=_date(s, 830) or _date(s, 813),
        version="Joliet Extension" if joliet is not None else "",
        size_bytes=blocks * block_size,
        geometry={"size": blocks * block_size},
    )


def _date(s: Structure, at: int) -> str:
    """A date as blkid makes a UUID of it: YYYY-MM-DD-hh-mm-ss-cc."""
    digits = s.data[at : at + 16]
    if not digits.isdigit() or digits == b"0" * 16:
        return ""
    text = digits.decode()
    return "-".join((text[:4], *(text[n : n + 2] for n in range(4, 16, 2))))


def _longer(joliet: str, plain: str) -> str:
    """Joliet keeps 16 characters; where the plain label begins the same (``_`` for others), its rest is added."""
    if len(joliet) == JOLIET_LABEL_LENGTH and all(p in (j, j.upper(), "_") for j, p in zip(joliet, plain)):
        return joliet + plain[JOLIET_LABEL_LENGTH:]
    return joliet or plain


def _joliet_label(volume: Volume) -> str | None:
    for number in range(1, MOST_DESCRIPTORS):
        try:
            raw = volume.read(DESCRIPTORS_OFFSET + number * SECTOR_BYTES, SECTOR_BYTES)
        except MismatchError:
            return None
        if raw[1:6] != b"CD001" or raw[0] == TERMINATOR:
            return None
        if raw[0] == 2 and raw[88:91] in JOLIET_ESCAPES:
            return raw[40:72].decode("utf-16-be", "replace").rstrip("\0 ")
    return None


def udf(volume: Volume) -> Recognised:
    """The recognition sequence (NSR02 or NSR03) and the anchor in block 256 of some block size."""
    sequence, step = _recognition_sequence(volume)
    for block_size in (n for n in UDF_BLOCK_SIZES if max(n, SECTOR_BYTES) == step):
        try:
            s = _tagged(volume, ANCHOR_BLOCK, block_size, ANCHOR_TAG)
        except MismatchError:
            continue
        s.check(f"{sequence.decode()} in the recognition sequence", True, 48)
        labels = _descriptor_labels(volume, s, block_size)
        return s.recognised(
            "udf",
            Kind.FILESYSTEM,
            label=labels.get(LOGICAL_TAG, ""),
            uuid=_uuid_of_set(labels.get(PRIMARY_TAG, "")),
            geometry={"block_size": block_size},
        )
    raise MismatchError("no anchor")


def _recognition_sequence(volume: Volume) -> tuple[bytes, int]:
    """The name of the NSR descriptor, and the distance of the descriptors: 2048 bytes or one larger block."""
    for step in (SECTOR_BYTES, 4096):
        for number in range(MOST_DESCRIPTORS):
            name = volume.read(DESCRIPTORS_OFFSET + number * step, 6)[1:]
            if name in (b"NSR02", b"NSR03"):
                return name, step
            if name not in (b"BEA01", b"BOOT2", b"CD001", b"CDW02", b"TEA01"):
                break
    raise MismatchError("no NSR descriptor")


def _tagged(volume: Volume, block: int, block_size: int, kind: int) -> Structure:
    """A descriptor with its tag (ECMA-167 3/7.2): kind, version, place, checksum of the tag, CRC of the body."""
    s = Structure(volume, block * block_size, 512)
    s.among(0, 2, (kind,), "tag")
    s.among(2, 2, (2, 3), "descriptor version")
    s.check(f"says that it is block {block}", s.u32(12) == block, 32)
    s.check("tag checksum", s.u8(4) == (sum(s.data[:4]) + sum(s.data[5:16])) & 0xFF, 8)
    length = s.u16(10)
    body = volume.read(s.offset + 16, length)
    s.verify("CRC of the descriptor", s.u16(8) == crc_hqx(body, 0), 16)
    return s


def _descriptor_labels(volume: Volume, anchor: Structure, block_size: int) -> dict[int, str]:
    """The labels in the volume descriptor sequence: of the volume set (tag 1) and of the logical volume (tag 6)."""
    length, first = anchor.u32(16), anchor.u32(20)
    found: dict[int, str] = {}
    for block in range(first, first + min(length // block_size, MOST_DESCRIPTORS)):
        for kind, at in ((PRIMARY_TAG, 72), (LOGICAL_TAG, 84)):
            try:
                s = _tagged(volume, block, block_size, kind)
            except MismatchError:
                continue
            found[kind] = _dstring(s.data[at : at + 128])
    return found


def _dstring(raw: bytes) -> str:
    """OSTA compressed Unicode: a kind byte (8 or 16 bits), the characters, the used length in the last byte."""
    text = raw[1 : min(raw[-1], 127)]
    decoded = text.decode("utf-16-be", "replace") if raw[0] in (16, 255) else text.decode("latin-1")
    return decoded.rstrip("\0")


def _uuid_of_set(name: str) -> str:
    """blkid's UUID: the first 16 characters of the set name, where not hexadecimal their bytes in hexadecimal."""
    raw = name.encode()
    if len(raw) < 8:
        return ""
    head = raw[:16].ljust(16, b"\0").decode("latin-1")
    good = next((n for n, c in enumerate(head) if c not in "0123456789abcdefABCDEF"), 16)
    if good < 8:
        return raw[:8].hex()
    return (head if good == 16 else head[:8] + raw[8:12].ljust(4, b"\0").hex()).lower()


PROBES = (iso9660, udf)

"""Parsers beside those of headers: what stands in a volume, packets, keys, certificates, imports, sheets, tables."""

from __future__ import annotations

import base64
import json
import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import escrow_samples as samples
from cryptography.hazmat.primitives.serialization import Encoding
from generators.headers import luks1_image, luks2_image
from sheet_examples import WORDS
from sheet_examples import packet as sheet_packet

from luksafe.device.keyring import parse_user_keys
from luksafe.device.mounts import parse_mountinfo
from luksafe.device.proclocks import parse_locks
from luksafe.errors import DamagedInput, KeyRejected, LuksafeError, Unsupported, UsageError
from luksafe.escrow.contents import Contents
from luksafe.escrow.import_.csv_export import read_csv
from luksafe.escrow.import_.detect import detect
from luksafe.escrow.import_.luksdump import read_luksdump
from luksafe.escrow.import_.raw_key import read_raw_key
from luksafe.escrow.packet import read_packet, seal
from luksafe.escrow.public_part import PublicPart
from luksafe.escrow.recipients.age import parse_recipient
from luksafe.escrow.recipients.certificates import load_certificates, load_key_file
from luksafe.escrow.sharing import read_share
from luksafe.escrow.volume_key.model import VolumeKeyPacket
from luksafe.escrow.volume_key.packet import Keys, open_packet, read_metadata, write_cleartext
from luksafe.luks.found import examine_mark
from luksafe.luks.search import Mark
from luksafe.memory.detect import open_memory
from luksafe.ops.scan.checkpoint import read_checkpoint
from luksafe.paper.qr import codes_of, read_part
from luksafe.paper.text import lines_of, read_row, read_text
from luksafe.probe.footprint.compute import footprint
from luksafe.probe.recognise import recognise
from luksafe.reader import BytesReader
from luksafe.secret import SecretBytes
from luksafe.view.inside.lvm_text import parse_lvm_text
from luksafe.view.inside.volumes import inner_volumes
from luksafe.view.mapfile import parse_mapfile

OURS = (DamagedInput, Unsupported, UsageError, KeyRejected)
FOLDER = Path(tempfile.mkdtemp(prefix="luksafe-fuzz-"))


def text_of(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def mark(data: bytes) -> None:
    """The bytes stand where a search found a mark, of every kind."""
    for kind in ("luks1", "primary", "secondary", "json"):
        examine_mark(BytesReader(data.ljust(1 << 15, b"\0")), Mark(0, kind))  # type: ignore[arg-type]


def volume(data: bytes) -> None:
    """The bytes are the start of a decrypted volume, and of the disk under it."""
    reader = BytesReader(data.ljust(1 << 17, b"\0"))
    for found in recognise(reader):
        footprint(reader, found)
    inner_volumes(reader)


def lvm_text(data: bytes) -> None:
    with suppress(*OURS):
        parse_lvm_text(text_of(data))


def mapfile(data: bytes) -> None:
    with suppress(*OURS):
        parse_mapfile(text_of(data))


def packet(data: bytes) -> None:
    """A sealed file, a public part, and the contents of one that was opened."""
    with suppress(*OURS):
        read_packet(data)
    with suppress(*OURS):
        PublicPart.from_bytes(data)
    with suppress(ValueError, RecursionError, *OURS):
        Contents.from_json(json.loads(data))


def certificate(data: bytes) -> None:
    with suppress(*OURS):
        load_certificates(data)
    with suppress(*OURS):
        load_key_file(data, SecretBytes(b"password"))


def recipient(data: bytes) -> None:
    with suppress(*OURS):
        parse_recipient(text_of(data))


def imports(data: bytes) -> None:
    detect(data)
    for read in (read_csv, read_raw_key):
        with suppress(*OURS):
            read(data)
    with suppress(*OURS):
        read_luksdump(text_of(data))


def volume_key(data: bytes) -> None:
    for read in (read_metadata, lambda given: open_packet(given, Keys(passphrase=SecretBytes(b"x")))):
        with suppress(*OURS):
            read(data)  # type: ignore[operator]


def share(data: bytes) -> None:
    with suppress(*OURS):
        read_share(text_of(data))


def sheet(data: bytes) -> None:
    """What was typed from a sheet, and what a code on it says."""
    read_row(text_of(data), 1)
    read_text(text_of(data))
    with suppress(*OURS):
        read_part(text_of(data))


def memory(data: bytes) -> None:
    path = FOLDER / f"memory{os.getpid()}"
    path.write_bytes(data)
    with suppress(LuksafeError):
        open_memory(path).close()


def kernel_tables(data: bytes) -> None:
    text = text_of(data)
    parse_mountinfo(text), parse_user_keys(text), parse_locks(text, "00:01:2")


def checkpoint(data: bytes) -> None:
    path = FOLDER / f"checkpoint{os.getpid()}"
    path.write_bytes(data)
    with suppress(LuksafeError):
        read_checkpoint(path, "disk", 1 << 20)


MORE_TARGETS: dict[str, Callable[[bytes], None]] = {
    "mark": mark,
    "volume": volume,
    "lvm-text": lvm_text,
    "mapfile": mapfile,
    "packet": packet,
    "certificate": certificate,
    "recipient": recipient,
    "imports": imports,
    "volume-key": volume_key,
    "share": share,
    "sheet": sheet,
    "memory": memory,
    "kernel-tables": kernel_tables,
    "checkpoint": checkpoint,
}

_PACKET = seal(samples.contents(), [parse_recipient(str(samples.age_identity().to_public()))], os.urandom)
_CERTIFICATE = samples.certificate(samples.ec_key()).public_bytes(Encoding.DER)
_SHEET = sheet_packet(300)
_LVM = """vg {
id = "x"
seqno = 3
status = ["RESIZEABLE", "READ"]
extent_size = 2048 # 1 MiB
physical_volumes { pv0 { id = "abc" pe_start = 2048 } }
logical_volumes { root { status = ["READ", "VISIBLE"] segment1 { start_extent = 0 extent_count = 2 type = "striped"
stripe_count = 1 stripes = ["pv0", 3] } } }
}"""


def _ext4() -> bytes:
    block = bytearray(4096)
    block[1024 + 56 : 1024 + 58] = b"\x53\xef"
    block[1024 : 1024 + 8] = b"\0\1\0\0\0\4\0\0"
    return bytes(block)


MORE_SEEDS: dict[str, list[bytes]] = {
    "mark": [luks1_image()[:592], luks2_image()[:16384], luks2_image()[4096:8192]],
    "volume": [luks2_image()[:8192], _ext4(), bytes(510) + b"\x55\xaa", b"LABELONE".rjust(520, b"\0") + bytes(512)],
    "lvm-text": [_LVM.encode()],
    "mapfile": [b"# Mapfile\n0x0 ? 1\n0x0 0x1000 +\n0x1000 0x1000 -\n", b"0 + 1\n"],
    "packet": [
        _PACKET.sealed,
        _PACKET.public.to_bytes() if _PACKET.public else b"",
        json.dumps({**samples.contents().to_json(), "scheme": "age", "recipients": []}).encode(),
    ],
    "certificate": [
        _CERTIFICATE,
        b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(_CERTIFICATE) + b"-----END CERTIFICATE-----\n",
        samples.pem(samples.ec_key()),
    ],
    "recipient": [str(samples.age_identity().to_public()).encode(), samples.ssh_public(samples.ssh_key())],
    "imports": [
        b"hostname,recovery_key,keyslot\nh,secret,1\n",
        b"UUID: x\nCipher name: aes\nMK bits: 16\nMK dump:\t00 01\n",
        bytes(range(64)),
        b"00" * 32,
    ],
    "volume-key": [
        write_cleartext(VolumeKeyPacket("volume-key", SecretBytes(bytes(32)), "host", samples.UUID, key_bits=256)),
        b"\0volume_key\2\x8c\x0d\4\x09\3\2" + bytes(60),
    ],
    "share": [WORDS.encode()],
    "sheet": [
        codes_of(_SHEET.head, _SHEET.payload)[0].text.encode(),
        "\n".join(line.printed for line in lines_of(_SHEET.head, _SHEET.payload)).encode(),
    ],
    "memory": [
        b"EMiL\1\0\0\0" + bytes(8) + b"\xff\x0f" + bytes(6) + bytes(8) + bytes(4096),
        b"\x7fELF\2\1\1" + bytes(9) + b"\4\0\x3e\0\1\0\0\0" + bytes(120),
        b"KDUMP   \6\0\0\0" + bytes(500),
        b"QEVM\0\0\0\3\1" + bytes(64),
        b"LibvirtQemudSave\2\0\0\0" + bytes(80) + b"<domain/>\0QEVM\0\0\0\3",
        b"S1SUSPEND\0".rjust(4096, b"\0") + bytes(4096),
    ],
    "kernel-tables": [
        b"22 1 8:1 / /mnt\\040x rw,relatime shared:1 - ext4 /dev/sda1 rw\n",
        b"1: FLOCK  ADVISORY  WRITE 1234 00:01:2 0 EOF\n",
        b"0f1e2d3c I--Q---     1 perm 1f3f0000     0     0 user      key: 32\n",
    ],
    "checkpoint": [
        b'{"format": 1, "target": "disk", "size_bytes": 1048576, "done_bytes": 0, "marks": [[0, "luks1"]],'
        b' "unreadable": [[0, 1]]}'
    ],
}

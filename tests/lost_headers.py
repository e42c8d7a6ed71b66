"""Volumes with a file system, made with cryptsetup and OpenSSL, that lose it; sheets as a scanner sees them."""

from __future__ import annotations

import hashlib
import random
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from PIL import Image, ImageFilter
from unit.view.volumes import encrypt_xts

OLD_PASSPHRASE = b"the old passphrase"
MIB = 1 << 20
LOST_BYTES = 16 * MIB
FILE_SYSTEM_BYTES = 12 * MIB
ODD_BYTES = 37 * 4096
CHEAP = ("--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000")


@dataclass(frozen=True)
class Kind:
    """How a volume is made; ``offset`` is where its data begin, 0 with a detached header."""

    format: str
    cipher: str
    key_bits: int
    sector_size: int = 512
    offset: int = LOST_BYTES

    @property
    def is_detached(self) -> bool:
        return self.offset == 0


XTS, ESSIV = "aes-xts-plain64", "aes-cbc-essiv:sha256"
KINDS = {
    "luks1-xts": Kind("luks1", XTS, 512),
    "luks1-essiv-odd": Kind("luks1", ESSIV, 256, offset=LOST_BYTES + ODD_BYTES),
    "luks1-xts-detached": Kind("luks1", XTS, 256, offset=0),
    "luks2-xts-512": Kind("luks2", XTS, 512),
    "luks2-xts-4096-odd": Kind("luks2", XTS, 256, 4096, LOST_BYTES + ODD_BYTES),
    "luks2-essiv-4096": Kind("luks2", ESSIV, 256, 4096),
    "luks2-essiv-512-odd": Kind("luks2", ESSIV, 256, 512, LOST_BYTES + ODD_BYTES),
    "luks2-xts-4096-detached": Kind("luks2", XTS, 512, 4096, 0),
}


@dataclass(frozen=True)
class LostVolume:
    """A volume in files: ``header`` is the disk itself unless detached."""

    kind: Kind
    disk: Path
    header: Path
    volume_key: bytes
    passphrase_file: Path

    def lose(self) -> None:
        """The first 16 MiB become zeros, or the header file is gone."""
        if self.kind.is_detached:
            self.header.unlink()
            return
        with self.disk.open("r+b") as file:
            file.write(bytes(LOST_BYTES))

    @property
    def header_options(self) -> tuple[str, ...]:
        return ("--header", str(self.header)) if self.kind.is_detached else ()


@cache
def files() -> dict[str, bytes]:
    """The files in the file system: name and content."""
    source = random.Random(7)
    return {f"file{n}": source.randbytes(1000 + 300_000 * n) for n in range(5)}


@cache
def plaintext(folder: Path) -> bytes:
    """An ext4 file system with these files."""
    root, image = folder / "root", folder / "ext4"
    root.mkdir()
    for name, data in files().items():
        (root / name).write_bytes(data)
    options = ["-q", "-d", str(root), "-U", "11111111-2222-4333-8444-555555555555", "-E", "lazy_itable_init=0"]
    run("mkfs.ext4", "-b", "4096", *options, str(image), f"{FILE_SYSTEM_BYTES >> 10}k")
    return image.read_bytes()


def make_volume(kind: Kind, folder: Path, content: bytes) -> LostVolume:
    """Format with cryptsetup, encrypt the content with OpenSSL."""
    disk, passphrase = folder / "disk.img", folder / "old-passphrase"
    header = folder / "header.img" if kind.is_detached else disk
    passphrase.write_bytes(OLD_PASSPHRASE)
    with disk.open("wb") as file:
        file.truncate(kind.offset + len(content))
    options = ["--type", kind.format, "--cipher", kind.cipher, "--key-size", str(kind.key_bits), *CHEAP]
    options += ["--offset", str(kind.offset // 512), "--key-file", str(passphrase)]
    options += ["--header", str(header)] if kind.is_detached else []
    options += ["--sector-size", str(kind.sector_size)] if kind.format == "luks2" else []
    run("cryptsetup", "luksFormat", "-q", *options, str(disk))
    key = dump_volume_key(header, passphrase, folder / "original.key")
    with disk.open("r+b") as file:
        file.seek(kind.offset)
        file.write(encrypt(kind, key, content))
    return LostVolume(kind, disk, header, key, passphrase)


def dump_volume_key(header: Path, passphrase: Path, to: Path) -> bytes:
    """The volume key as cryptsetup gives it."""
    to.unlink(missing_ok=True)
    options = ["--dump-volume-key", "--volume-key-file", str(to), "--key-file", str(passphrase)]
    run("cryptsetup", "luksDump", "-q", *options, str(header))
    return to.read_bytes()


def encrypt(kind: Kind, key: bytes, content: bytes) -> bytes:
    """As dm-crypt does it, with OpenSSL alone."""
    if kind.cipher == XTS:
        return encrypt_xts(key, content, sector_size=kind.sector_size)
    salted = Cipher(algorithms.AES(hashlib.sha256(key).digest()), modes.ECB()).encryptor()
    sectors = []
    for at in range(0, len(content), kind.sector_size):
        iv = salted.update((at // 512).to_bytes(16, "little"))
        sectors.append(
            Cipher(algorithms.AES(key), modes.CBC(iv)).encryptor().update(content[at : at + kind.sector_size])
        )
    return b"".join(sectors)


def run(*command: str) -> bytes:
    """A tool of the system, which must not fail."""
    done = subprocess.run(command, capture_output=True)
    assert done.returncode == 0, (command, done.stderr.decode())
    return done.stdout


def scanned(sheet: Path, folder: Path) -> Path:
    """Each page as a bad scan: drawn by pdftoppm, turned by 3 degrees, blurred, JPEG of quality 40."""
    folder.mkdir()
    run("pdftoppm", "-r", "200", "-gray", "-png", str(sheet), str(folder / "page"))
    for page in sorted(folder.glob("*.png")):
        with Image.open(page) as image:
            turned = image.rotate(3, expand=True, fillcolor="white", resample=Image.Resampling.BICUBIC)
            turned.filter(ImageFilter.GaussianBlur(1)).save(page.with_suffix(".jpg"), quality=40)
        page.unlink()
    return folder

"""Healthy volumes of many shapes with a known filesystem in them, encrypted without our code."""

from __future__ import annotations

import functools
import hashlib
import json
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.ciphers import Cipher, modes
from cryptography.hazmat.primitives.ciphers.algorithms import AES

MIB = 1 << 20
DATA_BYTES = 12 * MIB
PASSPHRASE = b"correct horse"
FAST = ("--pbkdf-force-iterations", "1000")
PBKDF2 = ("--pbkdf", "pbkdf2", *FAST)


@dataclass(frozen=True)
class Base:
    """How a volume is formatted; ``table``: the partition table (``gpt``, ``dos``) it lies in, 1 MiB from the start."""

    id: str
    luks: str
    options: Sequence[str]
    more_keys: int = 0
    table: str = ""
    sector_size: int = 512
    cipher: str = "xts"


BASES = (
    Base("luks1", "luks1", FAST),
    Base("luks1-essiv", "luks1", (*FAST, "-c", "aes-cbc-essiv:sha256", "-s", "256"), cipher="essiv"),
    Base("luks1-xts256", "luks1", (*FAST, "-s", "256")),
    Base("luks1-two-keys", "luks1", FAST, more_keys=1),
    Base("luks1-early-data", "luks1", (*FAST, "-s", "256", "--align-payload", "2056")),
    Base("luks1-in-dos", "luks1", FAST, table="dos"),
    Base("luks2", "luks2", (*PBKDF2, "--sector-size", "512")),
    Base(
        "luks2-argon2id", "luks2", ("--pbkdf-memory", "1024", "--pbkdf-force-iterations", "4", "--sector-size", "512")
    ),
    Base("luks2-4096", "luks2", (*PBKDF2, "--sector-size", "4096"), sector_size=4096),
    Base("luks2-two-keys", "luks2", (*PBKDF2, "--sector-size", "512"), more_keys=1),
    Base(
        "luks2-essiv",
        "luks2",
        (*PBKDF2, "-c", "aes-cbc-essiv:sha256", "-s", "256", "--sector-size", "512"),
        cipher="essiv",
    ),
    Base(
        *("luks2-small", "luks2"),
        (
            *PBKDF2,
            "--sector-size",
            "512",
            "--offset",
            "6144",
            "--luks2-metadata-size",
            "32k",
            "--luks2-keyslots-size",
            "1M",
        ),
    ),
    Base("luks2-labelled", "luks2", (*PBKDF2, "--sector-size", "512", "--label", "home", "--subsystem", "data")),
    Base("luks2-in-gpt", "luks2", (*PBKDF2, "--sector-size", "512"), table="gpt"),
)


@dataclass(frozen=True)
class Volume:
    """A healthy disk: where the volume and its data begin, its key, and the whole filesystem in it."""

    base: Base
    disk: bytes
    start: int
    data_offset: int
    key: bytes
    plain: bytes

    @property
    def area(self) -> slice:
        """The header area in the disk."""
        return slice(self.start, self.start + self.data_offset)

    def opens(self, image: bytes, start: int, folder: Path) -> bool:
        """Whether cryptsetup takes the passphrase for the header at ``start``, and the data behind it are these."""
        header, key_file = folder / "judged", folder / "judged-key"
        header.write_bytes(image[start : start + 20 * MIB])
        key_file.unlink(missing_ok=True)
        key_out = ("--volume-key-file", str(key_file), "--key-file", "-")
        done = cryptsetup("luksDump", "--dump-volume-key", *key_out, str(header))
        if done.returncode or key_file.read_bytes() != self.key:
            return False
        dumped = cryptsetup("luksDump", str(header)).stdout
        return self._data_offset(dumped) == self.data_offset and self.data_fits(image, start)

    def data_fits(self, image: bytes, start: int) -> bool:
        """Whether the data behind a header at ``start`` decrypt to the filesystem."""
        data = image[start + self.data_offset : start + self.data_offset + 65536]
        return len(data) == 65536 and crypt(self.base, self.key, data, decrypt=True) == self.plain[:65536]

    def _data_offset(self, dumped: str) -> int:
        if self.base.luks == "luks1":
            (line,) = [line for line in dumped.splitlines() if line.startswith("Payload offset")]
            return int(line.split()[-1]) * 512
        lines = [line.split() for line in dumped.splitlines() if line.strip().startswith("offset:")]
        return int(lines[0][1])


def cryptsetup(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["cryptsetup", "-q", *words], input=PASSPHRASE.decode(), capture_output=True, text=True)


def crypt(base: Base, key: bytes, data: bytes, *, decrypt: bool = False) -> bytes:
    """The data of a segment from its first sector on, sector by sector."""
    out = []
    for number, at in enumerate(range(0, len(data), base.sector_size)):
        tweak = number * (base.sector_size // 512)
        if base.cipher == "xts":
            cipher = Cipher(AES(key), modes.XTS(tweak.to_bytes(16, "little")))
        else:
            essiv = Cipher(AES(hashlib.sha256(key).digest()), modes.ECB()).encryptor()
            cipher = Cipher(AES(key), modes.CBC(essiv.update(tweak.to_bytes(16, "little"))))
        context = cipher.decryptor() if decrypt else cipher.encryptor()
        out.append(context.update(data[at : at + base.sector_size]))
    return b"".join(out)


@functools.cache
def filesystem(block: int) -> bytes:
    """An ext4 filesystem full of files."""
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        tree.mkdir()
        for number in range(40):
            (tree / f"letter-{number}.txt").write_text(f"Dear reader {number}\n" * 4000)
        image = Path(folder) / "image"
        with image.open("wb") as out:
            out.truncate(DATA_BYTES)
        command = ["mkfs.ext4", "-q", "-F", "-b", str(block), "-O", "^has_journal", "-d", str(tree), str(image)]
        subprocess.run(command, check=True, capture_output=True)
        return image.read_bytes()


@functools.cache
def volume(base: Base) -> Volume:
    """The healthy volume of a base, made once."""
    with tempfile.TemporaryDirectory() as folder:
        path, key_file = Path(folder) / "volume", Path(folder) / "key"
        path.write_bytes(bytes(17 * MIB + DATA_BYTES))
        words = ("--type", base.luks, *base.options)
        assert cryptsetup("luksFormat", *words, str(path), "-").returncode == 0
        for number in range(base.more_keys):
            other = Path(folder) / f"more-{number}"
            other.write_bytes(b"another passphrase")
            options = PBKDF2 if base.luks == "luks2" else FAST
            assert cryptsetup("luksAddKey", *options, "--key-file", "-", str(path), str(other)).returncode == 0
        dump = ("--dump-volume-key", "--volume-key-file", str(key_file), "--key-file", "-")
        assert cryptsetup("luksDump", *dump, str(path)).returncode == 0
        if base.luks == "luks1":
            dumped = cryptsetup("luksDump", str(path)).stdout
            (line,) = [line for line in dumped.splitlines() if line.startswith("Payload offset")]
            offset = int(line.split()[-1]) * 512
        else:
            metadata = json.loads(cryptsetup("luksDump", "--dump-json-metadata", str(path)).stdout)
            offset = int(metadata["segments"]["0"]["offset"])
        plain, key = filesystem(4096 if base.sector_size == 4096 else 1024), key_file.read_bytes()
        inner = path.read_bytes()[:offset] + crypt(base, key, plain)
        disk, start = _in_table(base, inner, Path(folder))
        return Volume(base, disk, start, offset, key, plain)


def _in_table(base: Base, inner: bytes, folder: Path) -> tuple[bytes, int]:
    if not base.table:
        return inner, 0
    path, sectors = folder / "disk", len(inner) // 512
    path.write_bytes(bytes(MIB) + inner + bytes(MIB))
    table = f"label: {base.table}\nstart=2048, size={sectors}, type=linux\n"
    subprocess.run(["sfdisk", "-q", str(path)], input=table, text=True, check=True, capture_output=True)
    return path.read_bytes(), MIB


Change = Callable[[bytes, Volume], bytes]

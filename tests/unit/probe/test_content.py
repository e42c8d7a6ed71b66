"""What decrypted data is taken for: sense, noise, and the half-sense of a wrong sector size."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from compat.probe.probe_images import MAKERS, MIB, FileReader, Maker, make
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import XTS

from luksafe.crypto.sectors import sector_cipher
from luksafe.probe.content import recognise_content
from luksafe.probe.recognised import Confidence
from luksafe.reader import BytesReader
from luksafe.secret import SecretBytes

if TYPE_CHECKING:
    from conftest import Corpus

KEY = bytes(range(64))
IDS = ("fat12", "fat16", "fat32", "exfat", "ntfs", "ext4", "xfs-v5", "btrfs", "swap-4k", "gpt")


def xts(data: bytes, sector_size: int, encrypt: bool) -> bytes:
    """aes-xts-plain64 as dm-crypt does it: the IV counts 512-byte sectors whatever the sector size."""
    out = []
    for at in range(0, len(data), sector_size):
        cipher = Cipher(AES(KEY), XTS((at // 512).to_bytes(16, "little")))
        context = cipher.encryptor() if encrypt else cipher.decryptor()
        out.append(context.update(data[at : at + sector_size]))
    return b"".join(out)


@pytest.mark.parametrize("maker", [m for m in MAKERS if m.id in (*IDS, "f2fs", "dos", "udf")], ids=lambda m: m.id)
def test_names_what_is_there(maker: Maker, tmp_path: Path) -> None:
    path = make(maker, tmp_path / "image")
    content = recognise_content(FileReader(path))
    assert (content.name, content.plausible) == (maker.name, True)
    assert content.recognised[0].evidence in content.why


@pytest.mark.parametrize(
    "id_", ["fat12", "fat16", "fat32", "exfat", "ntfs", "ext4", "xfs-v5", "btrfs", "swap-4k", "gpt"]
)
@pytest.mark.parametrize(("written", "read"), [(4096, 512), (512, 4096), (2048, 512)])
def test_a_wrong_sector_size_is_noticed(id_: str, written: int, read: int, tmp_path: Path) -> None:
    path = make(next(m for m in MAKERS if m.id == id_), tmp_path / "image")
    plain = path.read_bytes()[: MIB + 65536]
    plain += bytes(-len(plain) % 4096)
    encrypted = xts(plain, written, True)
    assert xts(encrypted, written, False) == plain
    content = recognise_content(BytesReader(xts(encrypted, read, False)))
    assert content.plausible is False, content
    assert "sector size" in content.why


@pytest.mark.parametrize("id_", IDS)
@pytest.mark.parametrize(("read_as", "size"), [("aes-cbc-essiv:sha256", 512), ("aes-cbc-plain64", 4096)])
def test_a_wrong_iv_of_a_chained_cipher_is_noticed(id_: str, read_as: str, size: int, tmp_path: Path) -> None:
    """Only the first block of each sector is noise then."""
    path = make(next(m for m in MAKERS if m.id == id_), tmp_path / "image")
    plain = path.read_bytes()[: MIB + 65536]
    plain += bytes(-len(plain) % 4096)
    key = SecretBytes(KEY[:32])
    written = sector_cipher("aes-cbc-plain64", key, sector_size=512).encrypt(plain, 0)
    content = recognise_content(BytesReader(bytes(sector_cipher(read_as, key, sector_size=size).decrypt(written, 0))))
    assert content.plausible is False, content
    assert "the IV of the cipher or the sector size" in content.why


@pytest.mark.parametrize(
    ("data", "name", "sure"),
    [
        (bytes(MIB), "zeros", Confidence.CERTAIN),
        (b"\xff" * MIB, "ff", Confidence.CERTAIN),
        (b"\xaa\x55" * 4096, "pattern", Confidence.CERTAIN),
        (b"some text in a raw volume\n" * 5000, "unknown-structured", Confidence.STRONG),
        (bytes(4096) + os.urandom(8192) + b"x" * 4096, "unknown-structured", Confidence.STRONG),
    ],
)
def test_sense_without_a_name(data: bytes, name: str, sure: Confidence) -> None:
    content = recognise_content(BytesReader(data))
    plausible = None if b"text" in data else True  # it may be of another place, read in a chained mode
    assert (content.name, content.sure, content.plausible) == (name, sure, plausible)


def test_noise() -> None:
    content = recognise_content(BytesReader(os.urandom(3 * MIB)))
    assert (content.name, content.sure, content.plausible) == ("random", Confidence.STRONG, False)
    assert "wrong key" in content.why
    assert "never written" in content.why


def test_sense_further_on() -> None:
    content = recognise_content(BytesReader(os.urandom(2 * MIB) + bytes(2 * MIB)))
    assert (content.name, content.plausible) == ("unknown-structured", True)
    assert "further on" in content.why


@pytest.mark.parametrize("shift", [MIB, -MIB, 3 * MIB])
def test_a_chained_cipher_at_another_place_is_no_sense(shift: int, tmp_path: Path) -> None:
    """All but the first block of each sector decrypts there; what comes before is what a header area holds."""
    path = make(next(m for m in MAKERS if m.id == "ext4"), tmp_path / "image")
    key = SecretBytes(KEY[:32])
    plain = path.read_bytes()[: 6 * MIB]
    written = sector_cipher("aes-cbc-essiv:sha256", key, sector_size=512).encrypt(plain, 0)
    for before in (bytes(max(shift, 0)), os.urandom(max(shift, 0))):
        moved = before + bytes(written)[max(-shift, 0) :]
        read = bytes(sector_cipher("aes-cbc-essiv:sha256", key, sector_size=512).decrypt(moved, 0))
        content = recognise_content(BytesReader(read))
        assert (content.plausible, content.recognised) in ((False, ()), (None, ())), content


def test_too_little_to_tell() -> None:
    for data in (b"", os.urandom(100)):
        assert recognise_content(BytesReader(data)).plausible is None


def test_only_a_backup_left(tmp_path: Path) -> None:
    path = make(next(m for m in MAKERS if m.id == "ext4-1k"), tmp_path / "image")
    with path.open("r+b") as image:
        image.write(os.urandom(4096))
    content = recognise_content(FileReader(path))
    assert (content.name, content.sure, content.plausible) == ("ext4", Confidence.LIKELY, True)
    assert content.why.startswith("only a backup is left")


def test_a_table_before_noise_is_left_open(tmp_path: Path) -> None:
    path = make(next(m for m in MAKERS if m.id == "dos"), tmp_path / "image")
    content = recognise_content(BytesReader(path.read_bytes()[:512] + os.urandom(8 * MIB - 512)))
    assert (content.name, content.plausible) == ("dos", None)
    assert "behind the first sector" in content.why


def test_the_outer_layer_names_it(corpus: Corpus) -> None:
    data = corpus.data("dmg-b-md-1.0-end")
    content = recognise_content(BytesReader(data))
    assert content.name == "linux_raid_member"
    assert "also crypto_LUKS" in content.why


class BrokenReader:
    """Random bytes; all behind the first MiB is unreadable."""

    size_bytes = 4 * MIB

    def read_at(self, offset_bytes: int, length_bytes: int) -> bytes:
        if offset_bytes + length_bytes > MIB:
            raise OSError(5, "Input/output error")
        return os.urandom(length_bytes)


def test_unreadable_samples_are_left_out() -> None:
    content = recognise_content(BrokenReader())
    assert content.name == "random"
    assert "0 further on" in content.why


PAYLOADS = ("dmg-base-a", "dmg-base-b", "pl-l1-ext4-essiv", "pl-l1-lvm", "pl-l2-ext4", "pl-l2-swap", "pl-l2-vfat")
SMALL_PAYLOADS = ("py-l1-vfat", "py-l2-ext4", "py-l2-swap")


@pytest.mark.parametrize("case_id", [*PAYLOADS, *SMALL_PAYLOADS])
def test_decrypted_payload_of_the_corpus(corpus: Corpus, case_id: str, tmp_path: Path) -> None:
    """Decrypted by an independent reader."""
    luks = pytest.importorskip("dissect.fve.luks", reason="dissect.fve is not installed")
    case = corpus.cases[case_id]
    passphrase = next(e["passphrase"] for e in case["unlock"] if e["opens"] and "passphrase" in e)
    with corpus.unpack(case_id, tmp_path)["image"].open("rb") as image:
        container = luks.LUKS(image)
        container.unlock_with_passphrase(passphrase)
        data = container.open().read(512 << 10)  # slow, so the start only
    content, oracle = recognise_content(BytesReader(data)), case["payload"]["blkid"]
    assert (content.name, content.plausible) == (oracle["TYPE"], True)
    assert (content.recognised[0].uuid, content.recognised[0].label) == (oracle["UUID"], oracle.get("LABEL", ""))

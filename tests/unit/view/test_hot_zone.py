"""Volumes in the middle of reencryption: those of the corpus, and some that cryptsetup is stopped in here."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import Corpus
from unit.view.readers import noise

from luksafe.crypto.kdf import KdfLimits
from luksafe.crypto.sectors import sector_cipher
from luksafe.luks.inspection import inspect
from luksafe.luks.model import Header
from luksafe.luks.unlock import open_keyslot
from luksafe.reader import BytesReader
from luksafe.secret import SecretBytes
from luksafe.view.stream import DecryptedReader, open_volume

PASSPHRASE = b"reencrypt pass 1"
MIB = 1 << 20


def keys_of(reader: BytesReader, header: Header, passphrase: bytes) -> dict[int, SecretBytes]:
    """The key of every keyslot that the passphrase opens, by digest."""
    keys = {}
    for slot in header.keyslots.values():
        if slot.type == "luks2":
            opened = open_keyslot(reader, header, slot, SecretBytes(passphrase), KdfLimits())
            keys[opened.digest_id] = opened.volume_key
    return keys


def opened(image: bytes, passphrase: bytes = PASSPHRASE) -> DecryptedReader:
    reader = BytesReader(image)
    header = inspect(reader).require_header()
    return open_volume(reader, header, keys_of(reader, header, passphrase))


@pytest.mark.parametrize(
    "case_id",
    [
        "re-checksum-sha1-backward",
        "re-checksum-stopped",
        "re-encrypt-datashift-init",
        "re-initonly-checksum",
        "re-journal-crashed",
    ],
)
def test_corpus_volumes_in_reencryption(corpus: Corpus, case_id: str) -> None:
    volume = opened(corpus.data(case_id))
    outcome = corpus.cases[case_id]["reencryption"]["cryptsetup_outcome"]["open"]
    assert hashlib.sha256(volume.read_at(0, volume.size_bytes)).hexdigest() == outcome["decrypted_sha256"]
    assert [finding.code for finding in volume.findings] == (["hot-zone-settled"] if "crashed" in case_id else [])


def test_one_key_alone_reads_its_part_only(corpus: Corpus) -> None:
    reader = BytesReader(corpus.data("re-checksum-stopped"))
    header = inspect(reader).require_header()
    whole = opened(corpus.data("re-checksum-stopped")).read_at(0, 1 << 30)
    keys = keys_of(reader, header, PASSPHRASE)
    volume = open_volume(reader, header, {1: keys[1]})
    assert [(extent.start_bytes, extent.size_bytes) for extent in volume.lost] == [(262144, volume.size_bytes - 262144)]
    assert volume.read_at(0, 262144) == whole[:262144]


def test_without_its_header_device_the_hot_zone_is_lost(corpus: Corpus) -> None:
    image = corpus.data("re-journal-crashed")
    reader = BytesReader(image)
    header = inspect(reader).require_header()
    keys = keys_of(reader, header, PASSPHRASE)
    without = open_volume(reader, header, keys, header_reader=BytesReader(image[:65536]))
    assert [finding.code for finding in without.findings] == ["hot-zone"]
    assert [(extent.start_bytes, extent.size_bytes) for extent in without.lost] == [(262144, 131072)]


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, bytes]:
    """The plaintext, and the image of a volume whose reencryption was killed before it wrote its first hot zone."""
    if not shutil.which("cryptsetup") or not shutil.which("strace"):
        pytest.skip("needs cryptsetup and strace")
    folder = tmp_path_factory.mktemp("reencrypt")
    image, key = folder / "image", folder / "key"
    key.write_bytes(PASSPHRASE)
    with image.open("wb") as file:
        file.truncate(4 * MIB)
    cheap = ["--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000", "--key-file", key]
    sizes = ["--luks2-metadata-size", "16k", "--luks2-keyslots-size", "1008k", "--sector-size", "512"]
    format_it = ["cryptsetup", "luksFormat", "-q", *sizes, "-c", "aes-xts-plain64", "-s", "256", *cheap, image]
    subprocess.run(format_it, check=True, capture_output=True)
    with image.open("r+b") as file:
        file.seek(MIB)
        file.write(noise(3 * MIB))
    plain = opened(image.read_bytes()).read_at(0, 3 * MIB)
    resilience = ["--force-offline-reencrypt", "--resilience", "checksum", "--hotzone-size", "512k"]
    command = ["cryptsetup", "reencrypt", "-q", *resilience, "-s", "512", *cheap, image]
    for count in range(10, 60):  # kill it at ever later writes until the header says that a hot zone is being rewritten
        attempt = folder / "attempt"
        shutil.copyfile(image, attempt)
        inject = ["strace", "-f", "-o", "/dev/null", "-e", f"inject=write:signal=KILL:when={count}"]
        subprocess.run([*inject, *command[:-1], attempt], capture_output=True)
        header = inspect(BytesReader(attempt.read_bytes())).header
        if header and any("in-reencryption" in segment.flags for segment in header.segments.values()):
            return plain, attempt.read_bytes()
    pytest.fail("cryptsetup never said that it rewrites a hot zone")


@pytest.mark.parametrize("rewritten", [[], [0], [1, 2, 3], [0, 5, 127], list(range(128))])
def test_checksums_tell_old_blocks_from_new_ones(
    stopped: tuple[bytes, bytes], rewritten: list[int], tmp_path: Path
) -> None:
    plain, image = stopped
    reader = BytesReader(image)
    header = inspect(reader).require_header()
    keys = keys_of(reader, header, PASSPHRASE)
    final = next(segment for segment in header.segments.values() if "backup-final" in segment.flags)
    hot = next(segment for segment in header.segments.values() if "in-reencryption" in segment.flags)
    digest = header.digest_of_segment(final.id)
    assert digest is not None
    assert hot.size == 512 << 10
    start = hot.offset - final.offset
    new = sector_cipher(final.encryption, keys[digest.id], sector_size=final.sector_size)
    mixed = bytearray(image)
    for block in rewritten:
        at = block * 4096
        mixed[hot.offset + at : hot.offset + at + 4096] = new.encrypt(
            plain[start + at : start + at + 4096], (start + at) // 512
        )
    volume = opened(bytes(mixed))
    assert volume.read_at(0, volume.size_bytes) == plain
    assert [finding.code for finding in volume.findings] == ["hot-zone-settled"]
    (tmp_path / "image").write_bytes(mixed)
    key = tmp_path / "key"
    key.write_bytes(PASSPHRASE)
    for action in (["repair"], ["reencrypt", "--resume-only", "--force-offline-reencrypt"]):
        subprocess.run(
            ["cryptsetup", *action, "-q", "--key-file", key, tmp_path / "image"], check=True, capture_output=True
        )
    assert (
        opened((tmp_path / "image").read_bytes()).read_at(0, volume.size_bytes) == plain
    )  # cryptsetup thinks the same

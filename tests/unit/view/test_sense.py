from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import Corpus
from unit.view.readers import FaultyReader, noise
from unit.view.volumes import corpus_key, decrypted, encrypt_xts, segments_of

from luksafe.luks.model import Segment
from luksafe.reader import BytesReader
from luksafe.secret import SecretBytes
from luksafe.view.sense import find_better, make_sense
from luksafe.view.stream import DecryptedReader

KEY = noise(64, 5)
MIB = 1 << 20


def test_noise_is_noise_and_a_filesystem_is_not(corpus: Corpus) -> None:
    assert make_sense(BytesReader(noise(4 * MIB))).is_noise
    sense = make_sense(decrypted(corpus, "pl-l2-ext4"))
    assert sense.found == ("ext4",)
    assert not sense.is_noise
    assert sense.text == "decrypts to ext4"


def test_a_filesystem_among_noise_is_not_patchy(corpus: Corpus) -> None:
    assert make_sense(decrypted(corpus, "cs-luks1-aes-xts-plain64-sha256")).is_good


def test_unknown_but_written_data_are_not_called_noise() -> None:
    data = noise(2 * MIB) + b"some text " * 2000 + noise(2 * MIB)
    sense = make_sense(BytesReader(bytes(2 * MIB) + data))
    assert (sense.found, sense.is_noise) == ((), False)
    assert "not to noise" in sense.text
    assert not make_sense(BytesReader(b"")).is_noise


def test_unreadable_samples_do_not_stop_it() -> None:
    assert make_sense(FaultyReader(noise(4 * MIB), [(0, 2 * MIB)])).is_noise


@pytest.mark.parametrize("wrong", [{"sector_size": 512}, {"offset": 4 * MIB}, {"offset": 4 * MIB, "sector_size": 1024}])
def test_wrong_parameters_are_put_right(corpus: Corpus, wrong: dict[str, int]) -> None:
    image = corpus.data("pl-l2-vfat")  # sectors of 4096 bytes, data at 16 MiB
    key = corpus_key(corpus, "pl-l2-vfat", image)
    (right,) = segments_of(image)
    segment = Segment(
        0, "crypt", wrong.get("offset", right.offset), None, 0, right.encryption, wrong.get("sector_size", 4096)
    )
    sense = make_sense(DecryptedReader(BytesReader(image), [segment], {0: key}))
    assert not sense.is_good
    assert sense.is_noise or "the sector size is wrong" in sense.text
    better = find_better(BytesReader(image), segment, key)
    assert better is not None
    assert (better.segment.offset, better.segment.sector_size) == (16 * MIB, 4096)
    assert "data at byte 16777216 and sectors of 4096 bytes it decrypts to vfat" in better.text


def test_a_wrong_key_stays_noise(corpus: Corpus) -> None:
    image = corpus.data("pl-l2-ext4")
    (segment,) = segments_of(image)
    assert find_better(BytesReader(image), segment, SecretBytes(noise(64, 77))) is None


def test_ivs_in_large_sectors_are_found(tmp_path: Path) -> None:
    if not shutil.which("mkfs.ext4"):
        pytest.skip("mkfs.ext4 is not installed")
    subprocess.run(["mkfs.ext4", "-q", tmp_path / "fs", "2M"], check=True)
    plain = (tmp_path / "fs").read_bytes()
    image = b"".join(
        encrypt_xts(KEY, plain[at : at + 4096], sector_size=4096, iv_tweak=at // 4096)
        for at in range(0, len(plain), 4096)
    )
    better = find_better(BytesReader(image), Segment(0, "crypt", 0, None, 0, "aes-xts-plain64"), SecretBytes(KEY))
    assert better is not None
    assert better.iv_large_sectors
    assert "IVs counted in large sectors" in better.text

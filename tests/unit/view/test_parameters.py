from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import Corpus
from unit.view.readers import noise
from unit.view.volumes import corpus_key, encrypt_xts, segments_of

from luksafe.luks.model import Segment
from luksafe.probe.content import recognise_content
from luksafe.reader import BytesReader
from luksafe.secret import SecretBytes
from luksafe.view.parameters import find_parameters
from luksafe.view.stream import DecryptedReader

KEY = noise(64, 5)
MIB = 1 << 20


@pytest.mark.parametrize("wrong", [{"sector_size": 512}, {"offset": 4 * MIB}, {"offset": 4 * MIB, "sector_size": 1024}])
def test_wrong_parameters_are_put_right(corpus: Corpus, wrong: dict[str, int]) -> None:
    image = corpus.data("pl-l2-vfat")  # sectors of 4096 bytes, data at 16 MiB
    key = corpus_key(corpus, "pl-l2-vfat", image)
    (right,) = segments_of(image)
    segment = Segment(
        0, "crypt", wrong.get("offset", right.offset), None, 0, right.encryption, wrong.get("sector_size", 4096)
    )
    assert recognise_content(DecryptedReader(BytesReader(image), [segment], {0: key})).plausible is False
    better = find_parameters(BytesReader(image), segment, key)
    assert better is not None
    assert (better.segment.offset, better.segment.sector_size) == (16 * MIB, 4096)
    assert "data at byte 16777216 and sectors of 4096 bytes it decrypts to vfat" in better.text


def test_a_wrong_key_stays_noise(corpus: Corpus) -> None:
    image = corpus.data("pl-l2-ext4")
    (segment,) = segments_of(image)
    assert find_parameters(BytesReader(image), segment, SecretBytes(noise(64, 77))) is None


def test_ivs_in_large_sectors_are_found(tmp_path: Path) -> None:
    if not shutil.which("mkfs.ext4"):
        pytest.skip("mkfs.ext4 is not installed")
    subprocess.run(["mkfs.ext4", "-q", tmp_path / "fs", "2M"], check=True)
    plain = (tmp_path / "fs").read_bytes()
    image = b"".join(
        encrypt_xts(KEY, plain[at : at + 4096], sector_size=4096, iv_tweak=at // 4096)
        for at in range(0, len(plain), 4096)
    )
    better = find_parameters(BytesReader(image), Segment(0, "crypt", 0, None, 0, "aes-xts-plain64"), SecretBytes(KEY))
    assert better is not None
    assert better.iv_large_sectors
    assert "IVs counted in encryption sectors" in better.text

from __future__ import annotations

import hashlib
import threading
from typing import Any

import pytest
from conftest import Corpus, load_corpus
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.view.readers import FaultyReader, noise
from unit.view.volumes import decrypted, encrypt_xts, xts_sector

from luksafe.errors import DamagedInput, KeyRejected, Unsupported
from luksafe.luks.model import Segment
from luksafe.reader import BytesReader
from luksafe.secret import SecretBytes
from luksafe.view.stream import DecryptedReader

KEY = noise(64, 5)
MIB = 1 << 20


def volume(plaintext: bytes, *, sector_size: int = 512, iv_tweak: int = 0, offset: int = 0) -> DecryptedReader:
    data = bytes(offset) + encrypt_xts(KEY, plaintext, sector_size=sector_size, iv_tweak=iv_tweak)
    segment = Segment(0, "crypt", offset, None, iv_tweak, "aes-xts-plain64", sector_size)
    return DecryptedReader(BytesReader(data), [segment], {0: SecretBytes(KEY)})


PLAIN = noise(MIB + 4096 * 3, 6)
VOLUMES = {
    (sector_size, iv_tweak): volume(PLAIN, sector_size=sector_size, iv_tweak=iv_tweak, offset=offset)
    for sector_size, iv_tweak, offset in [(512, 0, 0), (1024, 8, 4096), (2048, 0, 512), (4096, 1 << 33, 4096)]
}


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(sorted(VOLUMES)), st.integers(0, len(PLAIN) + 10), st.integers(0, 9000) | st.integers(0, 2 * MIB)
)
def test_any_range_of_any_sector_size(which: tuple[int, int], offset: int, length: int) -> None:
    assert VOLUMES[which].read_at(offset, length) == PLAIN[offset : offset + length]


class SparseReader:
    """A device of which only one place holds anything."""

    def __init__(self, size_bytes: int, at: int, data: bytes) -> None:
        self.size_bytes = size_bytes
        self.at = at
        self.data = data

    def read_at(self, offset_bytes: int, length_bytes: int) -> bytes:
        out = bytearray(length_bytes)
        for index in range(max(offset_bytes, self.at), min(offset_bytes + length_bytes, self.at + len(self.data))):
            out[index - offset_bytes] = self.data[index - self.at]
        return bytes(out)


@pytest.mark.parametrize("at", [(4 << 30) - 2048, 4 << 30, (2 << 40) - 2048, 2 << 40, (1 << 50) + 512])
def test_offsets_beyond_32_bits(at: int) -> None:
    plaintext = noise(4096, 9)
    ciphertext = b"".join(xts_sector(KEY, (at + n) // 512, plaintext[n : n + 512]) for n in range(0, 4096, 512))
    device = SparseReader((1 << 52), MIB + at, ciphertext)
    reader = DecryptedReader(
        device, [Segment(0, "crypt", MIB, None, encryption="aes-xts-plain64")], {0: SecretBytes(KEY)}
    )
    assert reader.read_at(at, 4096) == plaintext
    assert reader.read_at(at + 100, 1000) == plaintext[100:1100]


def test_several_segments_with_keys_of_their_own() -> None:
    other = noise(32, 8)
    parts = [noise(8192, 1), noise(4096, 2), noise(8192, 3)]
    device = encrypt_xts(other, parts[2], sector_size=4096, iv_tweak=24) + encrypt_xts(KEY, parts[0]) + parts[1]
    segments = [
        Segment(0, "crypt", 8192, 8192, 0, "aes-xts-plain64"),
        Segment(1, "linear", 16384, 4096),
        Segment(2, "crypt", 0, 8192, 24, "aes-xts-plain64", 4096),
    ]
    reader = DecryptedReader(BytesReader(device), segments, {0: SecretBytes(KEY), 2: SecretBytes(other)})
    whole = b"".join(parts)
    assert reader.read_at(0, 1 << 20) == whole
    assert reader.read_at(8000, 5000) == whole[8000:13000]
    assert reader.sector_size == 4096


def test_a_segment_without_its_key_is_lost_the_others_are_not() -> None:
    plaintext = noise(8192)
    segments = [Segment(n, "crypt", n * 4096, 4096, n * 8, "aes-xts-plain64") for n in range(2)]
    reader = DecryptedReader(BytesReader(encrypt_xts(KEY, plaintext)), segments, {1: SecretBytes(KEY)})
    assert reader.read_at(4096, 4096) == plaintext[4096:]
    assert [finding.code for finding in reader.findings] == ["no-segment-key"]
    assert [(extent.start_bytes, extent.size_bytes) for extent in reader.lost] == [(0, 4096)]
    with pytest.raises(OSError, match="no key"):
        reader.read_at(4000, 200)
    with pytest.raises(KeyRejected):
        DecryptedReader(BytesReader(b""), segments, {})


def test_large_sector_ivs() -> None:
    plaintext = noise(8192)
    device = b"".join(xts_sector(KEY, n, plaintext[n * 4096 : n * 4096 + 4096]) for n in range(2))
    segment = Segment(0, "crypt", 0, None, 0, "aes-xts-plain64", 4096)
    reader = DecryptedReader(BytesReader(device), [segment], {0: SecretBytes(KEY)}, iv_large_sectors=True)
    assert reader.read_at(0, 8192) == plaintext


def test_faults_of_the_device_come_through() -> None:
    device = FaultyReader(encrypt_xts(KEY, PLAIN), [(5120, 5632)])
    reader = DecryptedReader(device, [Segment(0, "crypt", 0, None, 0, "aes-xts-plain64")], {0: SecretBytes(KEY)})
    assert reader.read_at(0, 5120) == PLAIN[:5120]
    assert reader.read_at(5632, 512) == PLAIN[5632:6144]
    with pytest.raises(OSError, match="Input/output error"):
        reader.read_at(5000, 200)


def test_a_device_that_shrinks_is_an_error_not_a_short_volume() -> None:
    device = FaultyReader(encrypt_xts(KEY, PLAIN), [])
    reader = DecryptedReader(device, [Segment(0, "crypt", 0, None, 0, "aes-xts-plain64")], {0: SecretBytes(KEY)})
    device.data = device.data[:5000]
    with pytest.raises(OSError, match="earlier"):
        reader.read_at(4096, 4096)


@pytest.mark.parametrize(
    ("encryption", "key", "error"),
    [("nosuch-xts-plain64", KEY, Unsupported), ("aes-xts-plain64", KEY[:63], DamagedInput)],
)
def test_impossible_ciphers_are_told_at_once(encryption: str, key: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        DecryptedReader(BytesReader(bytes(4096)), [Segment(0, "crypt", 0, None, 0, encryption)], {0: SecretBytes(key)})


def test_eight_threads_read_at_once() -> None:
    reader = VOLUMES[512, 0]
    wrong: list[int] = []

    def read_all(start: int) -> None:
        for offset in range(start, len(PLAIN), 40000):
            if reader.read_at(offset, 50000) != PLAIN[offset : offset + 50000]:
                wrong.append(offset)

    threads = [threading.Thread(target=read_all, args=(n * 777,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def payload_cases() -> list[str]:
    """Every corpus case whose decrypted volume is known."""
    found = load_corpus()
    if found is None:
        return []

    def is_known(case: dict[str, Any]) -> bool:
        return bool((case.get("payload") or {}).get("decrypted_sha256")) and case["role"] in ("device", "detached")

    return [case_id for case_id, case in found.cases.items() if is_known(case)]


@pytest.mark.parametrize("case_id", payload_cases())
def test_corpus_volumes_have_the_known_plaintext(corpus: Corpus, case_id: str) -> None:
    reader = decrypted(corpus, case_id)
    payload = corpus.cases[case_id]["payload"]
    size = payload.get("size", reader.size_bytes)
    assert hashlib.sha256(reader.read_at(0, size)).hexdigest() == payload["decrypted_sha256"]

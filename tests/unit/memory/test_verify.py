"""Only a proven key is reported."""

from __future__ import annotations

import hashlib
import random

import pytest

from luksafe.crypto.sectors import sector_cipher
from luksafe.errors import LuksafeError, Unsupported
from luksafe.luks.model import Digest
from luksafe.memory.candidates import Candidate
from luksafe.memory.verify import Sample, data_proof, digest_proof, first_proven, verify_by_data
from luksafe.secret import SecretBytes

CLEAR = random.Random(1).randbytes(16384)
CASES = [
    ("aes-xts-plain64", 64, 512, False),
    ("aes-xts-plain64", 32, 4096, False),
    ("aes-xts-plain64", 64, 4096, True),
    ("aes-cbc-essiv:sha256", 32, 512, False),
    ("aes-cbc-plain64", 16, 1024, False),
]


def key(size: int = 64, seed: int = 9) -> SecretBytes:
    return SecretBytes(random.Random(seed).randbytes(size))


def sample(encryption: str, size: int, sector_size: int, large: bool, at: int = 800) -> Sample:
    cipher = sector_cipher(encryption, key(size), sector_size=sector_size, iv_large_sectors=large)
    return Sample(at, bytes(cipher.encrypt(CLEAR, at)), CLEAR)


@pytest.mark.parametrize(("encryption", "size", "sector_size", "large"), CASES)
def test_the_right_key_is_proven_and_a_near_one_is_not(
    encryption: str, size: int, sector_size: int, large: bool
) -> None:
    proof = data_proof(
        [sample(encryption, size, sector_size, large)], encryption, sector_size=sector_size, iv_large_sectors=large
    )
    assert proof(key(size))
    for at in (0, size // 2, size - 1):
        wrong = bytearray(key(size).view)
        wrong[at] ^= 1
        assert not proof(SecretBytes(wrong))


def test_the_right_key_at_the_wrong_place_is_not_proven() -> None:
    right = sample("aes-xts-plain64", 64, 512, False)
    moved = Sample(right.iv_sector_512 + 8, right.ciphertext, right.plaintext)
    assert not verify_by_data(key(), [moved], "aes-xts-plain64")


def test_one_sector_is_enough_when_the_others_were_written_meanwhile() -> None:
    right = sample("aes-xts-plain64", 64, 512, False)
    changed = bytearray(right.plaintext)
    for at in range(0, len(changed), 512):
        changed[at + 5] ^= 0xFF
    assert not verify_by_data(key(), [Sample(800, right.ciphertext, bytes(changed))], "aes-xts-plain64")
    changed[1024:1536] = right.plaintext[1024:1536]
    assert verify_by_data(key(), [Sample(800, right.ciphertext, bytes(changed))], "aes-xts-plain64")


@pytest.mark.parametrize("samples", [[], [Sample(0, b"", b"")], [Sample(0, bytes(511), bytes(4096))]])
def test_nothing_to_compare_is_no_proof(samples: list[Sample]) -> None:
    with pytest.raises(LuksafeError) as caught:
        data_proof(samples, "aes-xts-plain64")
    assert caught.value.code == "unverified"
    assert not verify_by_data(key(), samples, "aes-xts-plain64")


def digest_of(secret: SecretBytes, kind: str = "pbkdf2") -> Digest:
    made = hashlib.pbkdf2_hmac("sha256", secret.reveal(), b"salt" * 8, 1000)
    return Digest(0, kind, (0,), (0,), "sha256", 1000, b"salt" * 8, made)


def test_a_digest_proves_its_key_only() -> None:
    proof = digest_proof([digest_of(key(64, seed=1)), digest_of(key(64))])
    assert proof(key(64)) and proof(key(64, seed=1)) and not proof(key(64, seed=2))


def test_without_a_digest_there_is_no_proof() -> None:
    with pytest.raises(LuksafeError) as caught:
        digest_proof([])
    assert caught.value.code == "unverified"
    with pytest.raises(Unsupported):
        digest_proof([digest_of(key(), "unknown")])(key())


def test_the_first_proven_candidate_is_given_and_those_before_it_are_wiped() -> None:
    wrong, right, never = (Candidate(key(64, seed), f"seed {seed}") for seed in (1, 9, 2))
    counted: list[int] = []
    assert first_proven(iter([wrong, right, never]), digest_proof([digest_of(key())]), counted.append) is right
    assert counted == [1] and wrong.key == SecretBytes(bytes(64)) and right.key == key() and never.key == key(64, 2)


def test_no_proven_candidate_is_none() -> None:
    assert first_proven([Candidate(key(64, 1), "x")], digest_proof([digest_of(key())])) is None

"""Which volume keys are tried, and in which order."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luksafe.errors import Unsupported
from luksafe.memory.candidates import AESNI_DISTANCE_BYTES, candidate_keys, key_bits_wanted
from luksafe.memory.search import ScheduleHit
from luksafe.secret import SecretBytes


def hit(address: int, key: bytes) -> ScheduleHit:
    return ScheduleHit(address, address, SecretBytes(key))


def key(number: int, size: int = 32) -> bytes:
    return bytes([number]) * size


def tried(hits: list[ScheduleHit], size: int, encryption: str) -> list[bytes]:
    return [candidate.key.reveal() for candidate in candidate_keys(hits, size, encryption)]


def test_xts_begins_with_the_pairs_that_aesni_makes() -> None:
    near = [hit(0x100, key(7)), hit(0x180, key(8))]
    context = [hit(0x5000, key(2)), hit(0x5000 + AESNI_DISTANCE_BYTES, key(1))]
    (first, *others) = candidate_keys([*near, *context], 64, "aes-xts-plain64")
    assert first.key.reveal() == key(1) + key(2)
    assert first.why == "an aesni context: data key at 0x51f0, tweak key at 0x5000"
    assert others[0].key.reveal() == key(8) + key(7)
    assert others[0].why == "two key schedules: data key at 0x180, tweak key at 0x100"


def test_xts_goes_on_with_all_pairs_the_nearest_first() -> None:
    hits = [hit(0x1000, key(1, 16)), hit(0x1400, key(2, 16)), hit(0x9000, key(3, 16))]
    pairs = [(2, 1), (1, 2), (3, 2), (2, 3), (3, 1), (1, 3)]
    assert tried(hits, 32, "aes-xts-plain64") == [key(a, 16) + key(b, 16) for a, b in pairs]


@given(st.lists(st.integers(0, 1 << 20), unique=True, max_size=12))
def test_every_ordered_pair_comes_once_by_distance(addresses: list[int]) -> None:
    at = {bytes([n]) * 16: address for n, address in enumerate(addresses)}
    hits = [hit(address, name) for name, address in at.items()]
    seen = [(k[:16], k[16:]) for k in tried(hits, 32, "aes-xts-plain64")]
    assert sorted(seen) == sorted(itertools.permutations(at, 2))
    distances = [abs(at[a] - at[b]) for a, b in seen if at[a] - at[b] != AESNI_DISTANCE_BYTES]
    assert distances == sorted(distances)


def test_one_key_at_two_places_is_tried_once() -> None:
    hits = [hit(n * 0x1000, key(1 + n % 2)) for n in range(4)]
    assert sorted(tried(hits, 32, "aes-cbc-essiv:sha256")) == [key(1), key(2)]
    # (Both halves the same is possible, and then there are two schedules of it.)
    assert sorted(tried(hits, 64, "aes-xts-plain64")) == sorted(key(a) + key(b) for a in (1, 2) for b in (1, 2))


@pytest.mark.parametrize("encryption", ["aes-cbc-essiv:sha256", "aes-cbc-plain64", "aes-ecb", "capi:cbc(aes)-plain64"])
def test_other_modes_take_single_keys_of_the_right_length(encryption: str) -> None:
    hits = [hit(0x2000, key(1, 16)), hit(0x1000, key(2, 24)), hit(0x3000, key(3, 32))]
    for size in (16, 24, 32):
        (only,) = candidate_keys(hits, size, encryption)
        assert len(only.key) == size and only.why.startswith("a key schedule at 0x")


@pytest.mark.parametrize("size", [32, 48, 64])
def test_xts_takes_half_as_long_keys(size: int) -> None:
    assert key_bits_wanted(size, "aes-xts-plain64") == size * 4
    assert key_bits_wanted(size, "capi:xts(aes)-plain64") == size * 4


@pytest.mark.parametrize(
    ("size", "encryption", "words"),
    [
        (64, "serpent-xts-plain64", "only those of AES"),
        (96, "aes-xts-random", "HMAC"),
        (20, "aes-cbc-plain64", "more than AES keys"),
        (48, "aes-lrw-benbi", "the rest of its key"),
        (32, "aes:64-cbc-lmk", "the rest of its key"),
    ],
)
def test_what_cannot_be_found_is_said_at_once(size: int, encryption: str, words: str) -> None:
    with pytest.raises(Unsupported, match=words) as caught:
        candidate_keys([], size, encryption)
    assert "Copy the data out" in caught.value.hint


def test_a_candidate_hides_its_key() -> None:
    (only,) = candidate_keys([hit(0, key(5))], 32, "aes-cbc-plain")
    assert "0505" not in repr(only) and "\\x05" not in repr(only)

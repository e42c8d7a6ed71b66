"""Keyslots and LUKS1 fields with one flipped bit: found with the passphrase, proven by the digest."""

from __future__ import annotations

import base64
from dataclasses import replace

import pytest
from generators.headers import (
    CHEAP_PBKDF2,
    PASSPHRASE,
    UUID,
    VOLUME_KEY,
    luks2_image,
    seeded_bytes,
    with_document,
)

from luksafe.crypto.kdf import KdfLimits, pbkdf2
from luksafe.crypto.sectors import sector_cipher
from luksafe.errors import NotFound
from luksafe.luks.create import Parameters, create_header
from luksafe.luks.inspection import inspect
from luksafe.luks.luks1.binary_header import BinaryHeader as Luks1Header
from luksafe.luks.model import Json
from luksafe.luks.repair import luks1_key_fields
from luksafe.luks.repair.effort import Effort
from luksafe.luks.repair.keyslot_search import KeyslotSearch, digest_judge
from luksafe.luks.repair.luks1_key_fields import search_fields
from luksafe.luks.repair.proposal import Outcome, PatchedReader
from luksafe.luks.unlock import derive_area_key
from luksafe.ops.keyslot_repair import _data_judge, repair_keyslot
from luksafe.reader import BytesReader
from luksafe.secret import SecretBytes

LIMITS = KdfLimits()
DIGEST_ITERATIONS = 50
AREA, AREA_BYTES = 32768, 64 * 4000


def secret() -> SecretBytes:
    return SecretBytes(PASSPHRASE)


def with_cheap_digest(image: bytes, volume_key: bytes = VOLUME_KEY) -> bytes:
    """The image with a volume key digest that is cheap to verify."""
    binary = Luks1Header.parse(image)
    if binary.version == 1:
        with pbkdf2(binary.hash_spec, SecretBytes(volume_key), binary.mk_digest_salt, DIGEST_ITERATIONS, 20) as made:
            cheap = replace(binary, mk_digest_iterations=DIGEST_ITERATIONS, mk_digest=made.reveal())
        return cheap.serialize(image[:592]) + image[592:]

    def change(document: Json) -> None:
        digest = document["digests"]["0"]
        with pbkdf2("sha256", SecretBytes(volume_key), base64.b64decode(digest["salt"]), DIGEST_ITERATIONS, 32) as made:
            digest |= {"iterations": DIGEST_ITERATIONS, "digest": base64.b64encode(made.reveal()).decode()}

    return with_document(image, change)


def luks1_of(encryption: str, hash_name: str) -> bytes:
    """LUKS1 with a key of 32 bytes."""
    parameters = Parameters("luks1", UUID, encryption, 2 << 20, hash=hash_name)
    made = create_header(parameters, SecretBytes(VOLUME_KEY[:32]), secret(), CHEAP_PBKDF2, seeded_bytes())
    return with_cheap_digest(made.ljust(2 << 20, b"\0"), VOLUME_KEY[:32])


LUKS2 = with_cheap_digest(luks2_image())
LUKS1 = luks1_of("aes-xts-plain64", "sha256")


def flipped(image: bytes, position: int, mask: int = 1) -> bytes:
    out = bytearray(image)
    out[position] ^= mask
    return bytes(out)


def search_in(image: bytes) -> KeyslotSearch:
    reader = BytesReader(image)
    header = inspect(reader).require_header()
    with derive_area_key(header.keyslots[0], secret(), LIMITS) as area_key:
        return KeyslotSearch(reader, header.keyslots[0], area_key, digest_judge(header.digests[0], LIMITS))


def test_the_undamaged_area_gives_the_key() -> None:
    assert search_in(LUKS2).key_as_it_is == SecretBytes(VOLUME_KEY)


@pytest.mark.parametrize("back", [1, 20, 700])
def test_a_flipped_bit_is_found_in_its_sector(back: int) -> None:
    position = AREA + AREA_BYTES - back
    search = search_in(flipped(LUKS2, position, 0x10))
    assert search.key_as_it_is != SecretBytes(VOLUME_KEY)
    found = search.try_sector((position - AREA) // 512)
    assert found is not None
    assert (found.position, found.mask) == (position - AREA, 0x10)
    assert found.volume_key == SecretBytes(VOLUME_KEY)
    start = (position - AREA) // 512 * 512
    assert found.sector == LUKS2[AREA + start : AREA + start + 512]
    assert search.try_sector((position - AREA) // 512 - 1) is None


def test_cbc_with_sha1_in_luks1() -> None:
    image = luks1_of("aes-cbc-essiv:sha256", "sha1")
    area = inspect(BytesReader(image)).require_header().keyslots[0].area
    assert area is not None
    position = 32 * 4000 - 100
    found = search_in(flipped(image, area.offset + position, 0x80)).try_sector(position // 512)
    assert found is not None
    assert (found.position, found.mask) == (position, 0x80)


def test_order_of_work_and_its_measure() -> None:
    search = search_in(LUKS2)
    first, *_, last = search.sectors
    assert (first, last) == (AREA_BYTES // 512 - 1, 0)
    assert search.work(first) < 0.01
    assert search.work(last) == 1
    assert search.seconds_per_bit(last, 0.05) > 3 * search.seconds_per_bit(first, 0.05) > 0


@pytest.mark.parametrize(
    ("position", "code"),
    [
        (208 + 8 + 3, "keyslot-field-mended"),
        (208 + 7, "keyslot-field-mended"),
        (112 + 4, "volume-key-digest-mended"),
        (132 + 9, "keyslot-field-mended"),
        (166, "keyslot-field-mended"),
    ],
    ids=["salt", "iterations", "digest", "digest-salt", "digest-iterations"],
)
def test_luks1_fields_that_only_the_passphrase_can_judge(position: int, code: str) -> None:
    reader = BytesReader(flipped(LUKS1, position, 4))
    proposal = search_fields(reader, 0, secret(), LIMITS, Effort())
    assert proposal is not None
    assert proposal.code == code
    assert PatchedReader(reader, proposal.patches).read_at(0, 592) == LUKS1[:592]


def test_no_field_explains_a_wrong_passphrase(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(luks1_key_fields, "_MOST_LIKELY_ITERATIONS", 1 << 12)  # quickly
    assert search_fields(BytesReader(LUKS1), 0, SecretBytes(b"wrong"), LIMITS, Effort()) is None
    assert search_fields(BytesReader(LUKS1), 0, SecretBytes(b"wrong"), LIMITS, Effort(limit_seconds=0)) is None


def repair(image: bytes, passphrase: bytes = PASSPHRASE, slot: int = 0, seconds: float = 60) -> tuple[Outcome, Effort]:
    reader = BytesReader(image)
    effort = Effort(limit_seconds=seconds)
    header = inspect(reader).require_header()
    return repair_keyslot(reader, header, slot, SecretBytes(passphrase), LIMITS, effort, reader), effort


def test_a_keyslot_is_mended_by_all_cores_together() -> None:
    outcome, _ = repair(flipped(LUKS2, AREA + AREA_BYTES - 300))
    assert [proposal.code for proposal in outcome.proposals] == ["keyslot-bit-mended"]
    assert PatchedReader(BytesReader(LUKS2), outcome.patches).read_at(0, len(LUKS2)) == LUKS2


def test_a_keyslot_that_opens_needs_nothing() -> None:
    outcome, _ = repair(LUKS2)
    assert not outcome.proposals
    assert not outcome.left


def test_a_search_that_runs_out_of_time_says_so() -> None:
    outcome, effort = repair(LUKS2, b"wrong", seconds=1)
    assert effort.ran_out
    assert "--time" in outcome.left[0]


def test_an_unused_keyslot_is_not_there() -> None:
    with pytest.raises(NotFound, match="in use: 0"):
        repair(LUKS2, slot=5)


def test_where_the_digest_is_slow_the_data_are_asked_first() -> None:
    slow = luks2_image()  # 100,000 iterations
    key = SecretBytes(VOLUME_KEY)
    data = sector_cipher("aes-xts-plain64", key).encrypt(bytes(8192), 0)
    image = slow.ljust(1 << 20, b"\0") + data
    outcome, _ = repair(flipped(image, AREA + AREA_BYTES - 5))
    assert [proposal.code for proposal in outcome.proposals] == ["keyslot-bit-mended"]
    assert (
        PatchedReader(BytesReader(image), outcome.patches).read_at(AREA, AREA_BYTES) == image[AREA : AREA + AREA_BYTES]
    )


def test_blank_data_are_not_asked() -> None:
    """Of a volume that was never written to, no key makes sense: the digest alone judges."""
    written = luks2_image().ljust(1 << 20, b"\0") + seeded_bytes()(8192)
    header = inspect(BytesReader(written)).require_header()
    keyslot = header.keyslots[0]
    assert _data_judge(header, keyslot, BytesReader(written)) is not None
    assert _data_judge(header, keyslot, BytesReader(written[: 1 << 20] + bytes(8192))) is None


def test_the_estimate_comes_before_the_search_and_counts_all_workers() -> None:
    said: list[tuple[str, float, float]] = []
    effort = Effort(limit_seconds=4, announce=lambda *estimate: said.append(estimate))
    reader = BytesReader(LUKS2)
    header = inspect(reader).require_header()
    assert not repair_keyslot(reader, header, 0, SecretBytes(b"wrong"), LIMITS, effort, reader).proposals
    ((label, even, most),) = said
    assert label == "one flipped bit in the keyslot"
    assert 0 < 2 * even < most  # the cheap half comes first

"""LUKS1 headers with faults that can be mended in one way only, and some that cannot."""

from __future__ import annotations

import random

import pytest
from generators.headers import luks1_image, seeded_bytes

from luksafe.luks.inspection import inspect
from luksafe.luks.luks1.binary_header import DISABLED, ENABLED, BinaryHeader
from luksafe.luks.repair.effort import Effort
from luksafe.luks.repair.luks1_names import mend_cipher, mend_hash, mend_mode, possible_uuids
from luksafe.luks.repair.proposal import Evidence, Outcome, PatchedReader
from luksafe.luks.repair.volume import propose_repair
from luksafe.reader import BytesReader

IMAGE = luks1_image()
OTHER_UUID = "11111111-2222-3333-4444-555555555555"


def entry(slot: int, field: int = 0) -> int:
    return 208 + 48 * slot + field


def repair(image: bytes, **options: object) -> tuple[Outcome, bytes]:
    reader = BytesReader(image)
    outcome = propose_repair(reader, seeded_bytes(), Effort(), **options)  # type: ignore[arg-type]
    return outcome, PatchedReader(reader, outcome.patches).read_at(0, len(image))


def changed(*changes: tuple[int, bytes], image: bytes = IMAGE) -> bytes:
    out = bytearray(image)
    for at, data in changes:
        out[at : at + len(data)] = data
    return bytes(out)


def u32(value: int) -> bytes:
    return value.to_bytes(4, "big")


def test_a_healthy_header_needs_nothing() -> None:
    assert repair(IMAGE) == (Outcome(), IMAGE)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ([(0, bytes(6))], "magic-restored"),
        ([(2, b"W")], "magic-restored"),
        ([(6, b"\0\2")], "version-restored"),
        ([(8, b"Aes")], "cipher-name-mended"),
        ([(8, b"aec")], "cipher-name-mended"),
        ([(40, b"XTS")], "cipher-mode-mended"),
        ([(41, b"xx")], "cipher-mode-mended"),
        ([(72, b"SHA256")], "hash-spec-mended"),
        ([(72, b"sha25v")], "hash-spec-mended"),
        ([(108, u32(96))], "key-bytes-derived"),
        ([(108, u32(0))], "key-bytes-derived"),
        ([(entry(1, 40), u32(60000))], "keyslot-offset-derived"),
        ([(entry(0, 44), u32(4001))], "keyslot-stripes-restored"),
        ([(entry(0), u32(ENABLED ^ 0x800))], "keyslot-mark-mended"),
        ([(entry(3), u32(DISABLED ^ 0x10))], "keyslot-mark-mended"),
        ([(entry(0), bytes(4))], "keyslot-mark-mended"),
        ([(entry(0), b"\xff" * 4)], "keyslot-mark-mended"),
    ],
)
def test_a_fault_with_one_possible_cause_is_mended(changes: list[tuple[int, bytes]], code: str) -> None:
    outcome, after = repair(changed(*changes))
    assert [proposal.code for proposal in outcome.proposals] == [code]
    assert all(proposal.evidence.is_proof for proposal in outcome.proposals)
    assert after == IMAGE
    assert not outcome.left


def test_an_overwritten_entry_becomes_an_empty_one() -> None:
    outcome, after = repair(changed((440, random.Random(1).randbytes(72))))
    assert after == IMAGE
    assert "keyslot-entry-reset" in {proposal.code for proposal in outcome.proposals}


def test_an_entry_that_may_have_its_salt_is_emptied_only_as_a_guess() -> None:
    outcome, after = repair(changed((entry(0), bytes(8))))
    assert [proposal.code for proposal in outcome.proposals] == ["keyslot-entry-reset"]
    assert not outcome.proposals[0].evidence.is_proof
    assert inspect(BytesReader(after)).require_header().keyslots == {}


@pytest.mark.parametrize("sector", [4096 ^ 0x40, 4097, 5120, 4096 + 2048, 8192])
def test_no_start_of_the_data_is_changed_without_the_data(sector: int) -> None:
    image = changed((104, u32(sector)))
    assert repair(image) == (Outcome(), image)


def test_a_lost_uuid_is_asked_for() -> None:
    lost = changed((168, bytes(36)))
    outcome, _ = repair(lost)
    assert not outcome.proposals
    assert "--uuid" in outcome.left[0]
    outcome, after = repair(lost, uuid=OTHER_UUID)
    assert BinaryHeader.parse(after).uuid == OTHER_UUID
    assert not outcome.left


def test_a_damaged_character_of_the_uuid() -> None:
    right = BinaryHeader.parse(IMAGE).uuid
    outcome, after = repair(changed((168 + 8, b",")))
    assert after == IMAGE
    outcome, after = repair(changed((168 + 8, b","), (168 + 13, b",")))
    assert ([proposal.evidence for proposal in outcome.proposals], after) == ([Evidence.STRUCTURE], IMAGE)
    outcome, _ = repair(changed((168 + 14, b"?")))  # one bit from 7, but cryptsetup makes version 4 only
    assert not outcome.proposals
    outcome, _ = repair(changed((168, b";")))
    assert not outcome.proposals
    assert f"3{right[1:]} or 9{right[1:]}" in outcome.left[0]


@pytest.mark.parametrize(
    "image",
    [changed((0, bytes(592))), changed((208, bytes(384))), changed((0, random.Random(2).randbytes(440)))],
    ids=["zeroed", "table-zeroed", "boot-code"],
)
def test_what_is_gone_is_gone(image: bytes) -> None:
    outcome, after = repair(image)
    assert not outcome.proposals
    assert outcome.left
    assert outcome.helps
    assert after == image


def test_a_cut_device_is_left_alone() -> None:
    outcome, _ = repair(IMAGE[:100000])
    assert not outcome.proposals
    assert "too small" in outcome.left[0]


def test_no_active_keyslot_is_said() -> None:
    outcome, _ = repair(changed((entry(0), u32(DISABLED))))
    assert "no keyslot" in outcome.left[0]


def test_names_that_are_right_or_too_far_off_are_left_alone() -> None:
    assert [mend_cipher(name) for name in ("aes", "serpent", "quux", "ees")] == [None] * 4
    assert [mend_mode(name) for name in ("xts-plain64", "cbc-essiv:sha224", "ecb", "quux")] == [None] * 4
    assert mend_mode("ecb-plain") == "ecb"
    assert [mend_hash(name) for name in ("sha256", "whirlpool", "quux", "sha-256")] == [None] * 4
    assert possible_uuids("short") == []
    assert possible_uuids(";" * 36) == []


def test_a_header_of_qemus_layout_is_not_bent_into_ours() -> None:
    odd = changed((104, u32(5000)))
    outcome, _ = repair(odd)
    assert not outcome.proposals
    assert inspect(BytesReader(odd)).header is not None

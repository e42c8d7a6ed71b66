"""LUKS2 metadata damaged in known ways: what is proposed, with which evidence, and what is refused."""

from __future__ import annotations

import random
import time

import pytest
from generators.headers import luks2_image, seeded_bytes, with_binary, with_document, with_json_area
from hypothesis import given, settings
from hypothesis import strategies as st

from luksafe.luks.inspection import inspect
from luksafe.luks.luks2.binary_header import BINARY_BYTES
from luksafe.luks.model import Json
from luksafe.luks.repair.effort import Effort
from luksafe.luks.repair.luks2_proof import text_end
from luksafe.luks.repair.proposal import Evidence, Outcome, PatchedReader
from luksafe.luks.repair.volume import propose_repair
from luksafe.reader import BytesReader

IMAGE = luks2_image()
SIZE = 16384
TEXT_END = text_end(IMAGE[:SIZE])


def repair(image: bytes, **options: object) -> tuple[Outcome, bytes]:
    """The outcome, and the image with every proposal applied."""
    reader = BytesReader(image)
    outcome = propose_repair(reader, seeded_bytes(7), Effort(limit_seconds=20), **options)  # type: ignore[arg-type]
    return outcome, PatchedReader(reader, outcome.patches).read_at(0, len(image))


def changed(image: bytes, *changes: tuple[int, bytes]) -> bytes:
    out = bytearray(image)
    for at, data in changes:
        out[at : at + len(data)] = data
    return bytes(out)


def flipped(image: bytes, *bits: int) -> bytes:
    out = bytearray(image)
    for bit in bits:
        out[bit // 8] ^= 1 << bit % 8
    return bytes(out)


def codes(outcome: Outcome) -> list[str]:
    return [proposal.code for proposal in outcome.proposals]


def is_healthy(image: bytes) -> bool:
    found = inspect(BytesReader(image))
    return not found.is_refused and not found.all_findings and all(copy.state == "ok" for copy in found.copies)


def test_a_healthy_header_needs_nothing() -> None:
    outcome, after = repair(IMAGE)
    assert outcome == Outcome()
    assert after == IMAGE


@pytest.mark.parametrize(
    ("start", "end", "code"), [(0, SIZE, "primary-from-secondary"), (SIZE, 2 * SIZE, "secondary-from-primary")]
)
def test_a_lost_copy_is_made_from_the_other_with_a_fresh_salt(start: int, end: int, code: str) -> None:
    outcome, after = repair(changed(IMAGE, (start, bytes(end - start))))
    assert codes(outcome) == [code]
    assert is_healthy(after)
    assert after[start + 104 : start + 168] != IMAGE[start + 104 : start + 168]
    assert after[start + BINARY_BYTES : end] == IMAGE[start + BINARY_BYTES : end]


def test_the_magic_alone_is_put_back() -> None:
    outcome, after = repair(changed(IMAGE, (0, bytes(6)), (SIZE, bytes(6))))
    assert codes(outcome) == ["copy-mended", "copy-mended"]
    assert {p.evidence for p in outcome.proposals} == {Evidence.CHECKSUM}
    assert after == IMAGE


def test_swapped_copies_go_back_to_their_places() -> None:
    outcome, after = repair(IMAGE[SIZE : 2 * SIZE] + IMAGE[:SIZE] + IMAGE[2 * SIZE :])
    assert after == IMAGE
    assert len(outcome.proposals) == 2


def test_a_stray_sector_over_the_first_copy_is_taken_off() -> None:
    outcome, after = repair(changed(IMAGE, (4096, bytes(range(256)) * 2)))
    assert codes(outcome) == ["copy-mended"]
    assert after == IMAGE


def test_copies_damaged_in_different_places_are_merged() -> None:
    damaged = changed(
        IMAGE, (BINARY_BYTES + 40, b"\xff" * 200), (SIZE + BINARY_BYTES + 500, bytes(150)), (24, b"?????")
    )
    outcome, after = repair(damaged)
    assert after == IMAGE
    assert all("other copy" in proposal.why for proposal in outcome.proposals)


def test_a_binary_header_of_one_and_the_json_of_the_other() -> None:
    damaged = changed(IMAGE, (BINARY_BYTES, random.Random(1).randbytes(4096)), (SIZE, random.Random(2).randbytes(4096)))
    outcome, after = repair(damaged)
    assert is_healthy(after)
    assert after[:SIZE] == IMAGE[:SIZE]
    assert {p.evidence for p in outcome.proposals} == {Evidence.CHECKSUM}


def test_flipped_bits_in_both_checksums_leave_no_doubt() -> None:
    outcome, after = repair(flipped(IMAGE, 8 * 450 + 1, 8 * (SIZE + 460) + 3))
    assert after == IMAGE
    assert len(outcome.proposals) == 2


def test_an_overwritten_run_in_both_copies_is_filled_from_the_grammar() -> None:
    at = IMAGE.index(b'"stripes":4000')
    damaged = changed(IMAGE, (at, b"\xff" * 12), (at + SIZE, b"\xff" * 12))
    outcome, after = repair(damaged)
    assert after == IMAGE
    assert any("run" in proposal.why for proposal in outcome.proposals)


def test_two_unknown_bytes_in_both_copies_are_tried_out() -> None:
    at = IMAGE.index(b'"salt":"') + 12
    damaged = changed(IMAGE, (at, b"\0\0"), (at + SIZE, b"\0\0"))
    assert repair(damaged)[1] == IMAGE


def test_one_overwritten_byte_in_both_copies() -> None:
    at = IMAGE.index(b'"salt":"') + 12
    other = bytes((IMAGE[at] ^ 0x07,))
    assert repair(changed(IMAGE, (at, other), (at + SIZE, other)))[1] == IMAGE


def test_an_unknown_checksum_algorithm_and_wrong_sizes() -> None:
    damaged = changed(IMAGE, (72, b"shaXYZ"), (8, (1 << 17).to_bytes(8, "big")), (SIZE, bytes(SIZE)))
    outcome, after = repair(damaged)
    assert after[:SIZE] == IMAGE[:SIZE]
    assert is_healthy(after)
    assert codes(outcome) == ["copy-mended", "secondary-from-primary"]


def test_a_stale_copy_is_brought_level_when_it_opens_the_same() -> None:
    stale = with_binary(IMAGE, (1,), seqid=9, label="new")
    outcome, after = repair(stale)
    assert codes(outcome) == ["primary-from-secondary"]
    header = inspect(BytesReader(after)).require_header()
    assert (header.seqid, header.label) == (9, "new")


def remove_keyslot(document: Json) -> None:
    document["keyslots"].clear()
    document["digests"]["0"]["keyslots"] = []


@pytest.mark.parametrize(
    "image",
    [
        with_binary(with_document(IMAGE, remove_keyslot, (1,)), (1,), seqid=9),
        with_binary(IMAGE, (1,), label="other"),
        with_binary(IMAGE, (1,), uuid="11111111-2222-3333-4444-555555555555"),
    ],
    ids=["other-keyslots", "same-seqid", "other-uuid"],
)
def test_split_evidence_is_not_decided(image: bytes) -> None:
    outcome, after = repair(image)
    assert after == image
    assert [side.option for side in outcome.sides] == ["--take primary", "--take secondary"]
    for take, start in (("primary", 0), ("secondary", SIZE)):
        outcome, after = repair(image, take=take)
        assert not outcome.sides
        assert after[start : start + SIZE] == image[start : start + SIZE]
        assert len({after[n : n + SIZE - BINARY_BYTES] for n in (BINARY_BYTES, SIZE + BINARY_BYTES)}) == 1


def test_a_good_older_copy_does_not_win_over_a_newer_one_with_a_flipped_bit() -> None:
    newer = with_binary(with_document(IMAGE, remove_keyslot, (0,)), (0,), seqid=9)
    outcome, _ = repair(flipped(newer, 8 * (BINARY_BYTES + 100)))
    assert len(outcome.sides) == 2


def test_a_good_older_copy_does_not_win_because_the_time_was_over() -> None:
    newer = with_binary(with_document(IMAGE, remove_keyslot, (0,)), (0,), seqid=9)
    image = flipped(newer, 8 * (BINARY_BYTES + 100))
    outcome = propose_repair(BytesReader(image), seeded_bytes(7), Effort(limit_seconds=0))
    assert (outcome.proposals, outcome.is_unfinished) == ((), True)
    assert "--time" in outcome.left[0]


def test_a_good_older_copy_does_not_win_over_a_newer_one_without_checksum() -> None:
    newer = with_binary(with_document(IMAGE, remove_keyslot, (0,)), (0,), seqid=9)
    outcome, _ = repair(changed(newer, (448, b"\x55" * 64)))
    assert len(outcome.sides) == 2


def test_taking_a_copy_that_is_lost_is_not_decided_either() -> None:
    outcome, _ = repair(changed(IMAGE, (0, bytes(SIZE))), take="primary")
    assert [side.copy for side in outcome.sides] == ["secondary"]


def test_json_without_any_checksum_is_a_guess() -> None:
    damaged = changed(IMAGE, (0, random.Random(3).randbytes(512)), (SIZE, bytes(SIZE)))
    outcome, after = repair(damaged)
    assert {p.evidence for p in outcome.proposals} == {Evidence.STRUCTURE}
    assert is_healthy(after)


def test_agreement_without_checksums_is_a_guess_too() -> None:
    damaged = changed(IMAGE, (448, b"\x55" * 32), (SIZE + 448, b"\xaa" * 32))
    outcome, after = repair(damaged, key_at_hand=True)
    assert {p.evidence for p in outcome.proposals} == {Evidence.STRUCTURE}
    assert after == IMAGE


def test_names_that_one_copy_kept_are_used_for_json_of_the_other() -> None:
    damaged = changed(IMAGE, (448, b"\x55" * 32), (BINARY_BYTES, bytes(2048)), (SIZE, bytes(4096)))
    outcome, after = repair(damaged)
    header = inspect(BytesReader(after)).require_header()
    assert (header.uuid, header.label) == (inspect(BytesReader(IMAGE)).require_header().uuid, "test")
    assert {p.evidence for p in outcome.proposals} == {Evidence.STRUCTURE}


def test_nothing_is_made_of_nothing() -> None:
    outcome, after = repair(bytes(len(IMAGE)))
    assert not outcome.proposals
    assert outcome.left
    assert outcome.helps
    assert after == bytes(len(IMAGE))


def test_a_valid_checksum_over_invalid_json_is_no_damage_to_mend() -> None:
    invalid = with_json_area(IMAGE, b'{"keyslots":{}}'.ljust(SIZE - BINARY_BYTES, b"\0"))
    outcome, _ = repair(invalid)
    assert not outcome.proposals
    assert outcome.left


def test_a_header_without_keyslots_says_what_would_help() -> None:
    outcome, _ = repair(with_document(IMAGE, remove_keyslot))
    assert not outcome.proposals
    assert "no keyslot" in outcome.left[0]


def test_a_cut_device_cannot_be_repaired() -> None:
    outcome, _ = repair(IMAGE[: 2 * SIZE])
    assert not outcome.proposals
    assert "too small" in outcome.left[0]


def test_a_medium_that_fails_in_one_copy_is_damage_like_any_other() -> None:
    class Failing(BytesReader):
        def read_at(self, offset_bytes: int, length_bytes: int) -> bytes:
            if offset_bytes < 8192 and offset_bytes + length_bytes > 4096:
                raise OSError(5, "Input/output error")
            return super().read_at(offset_bytes, length_bytes)

    outcome = propose_repair(Failing(IMAGE), seeded_bytes(), Effort())
    assert codes(outcome) == ["primary-from-secondary"]
    assert outcome.patches[0].data[BINARY_BYTES:] == IMAGE[BINARY_BYTES:SIZE]


def test_a_search_ends_when_its_time_is_over() -> None:
    at = IMAGE.index(b'"salt":"') + 12
    damaged = flipped(IMAGE, 8 * at, 8 * at + 80, 8 * (at + SIZE) + 1, 8 * (at + SIZE) + 81, 8 * 120, 8 * (SIZE + 120))
    effort = Effort(limit_seconds=0.2)
    started = time.monotonic()
    outcome = propose_repair(BytesReader(changed(damaged, (at, b"[]"), (at + SIZE, b"{{"))), seeded_bytes(), effort)
    assert time.monotonic() - started < 30
    assert effort.ran_out or not outcome.proposals


@pytest.mark.parametrize("bit", [589, 8 * 72 + 5, 8 * 74 + 5])
def test_a_letter_of_the_hash_name_in_the_other_case_in_both_copies(bit: int) -> None:
    started = time.process_time()
    outcome, after = repair(flipped(IMAGE, bit, bit + 8 * SIZE))
    assert time.process_time() - started < 2
    assert (codes(outcome), after) == (["copy-mended"] * 2, IMAGE)


def hole(kind: str, length: int, seed: int) -> bytes:
    chance = random.Random(seed)
    text = b"Lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do eiusmod tempor. "
    return {"zeros": bytes(length), "noise": chance.randbytes(length), "text": (text * (length // 80 + 1))[:length]}[
        kind
    ]


@pytest.mark.parametrize("length", [16, 100, 300])
@pytest.mark.parametrize("kinds", [("zeros", "zeros"), ("noise", "noise"), ("text", "text"), ("zeros", "text")])
def test_holes_in_different_places_of_both_copies_are_merged(kinds: tuple[str, str], length: int) -> None:
    first, second = BINARY_BYTES + 90, SIZE + BINARY_BYTES + 500
    damaged = changed(IMAGE, (first, hole(kinds[0], length, 1)), (second, hole(kinds[1], length, 2)))
    started = time.process_time()
    outcome, after = repair(damaged)
    assert time.process_time() - started < 5
    assert (set(codes(outcome)), after) == ({"copy-mended"}, IMAGE)
    assert all(proposal.evidence is Evidence.CHECKSUM for proposal in outcome.proposals)


def test_many_small_holes_in_both_copies_are_merged() -> None:
    holes = [(BINARY_BYTES + 40 * n + (SIZE if n % 2 else 0), hole("zeros", 8, n)) for n in range(1, 19)]
    outcome, after = repair(changed(IMAGE, *holes))
    assert (set(codes(outcome)), after) == ({"copy-mended"}, IMAGE)


def test_there_is_one_number_of_stripes() -> None:
    image = with_document(IMAGE, lambda d: d["keyslots"].update({"1": d["keyslots"]["0"]}))  # two keyslots: two changes
    image = with_document(image, lambda d: d["digests"]["0"]["keyslots"].append("1"))
    image = with_document(image, lambda d: d["keyslots"]["1"]["area"].update(offset="290816"))
    damaged = image.replace(b'"stripes":4000', b'"stripes":4001')
    assert damaged.count(b'"stripes":4001') == 4
    outcome, after = repair(damaged)
    assert all(proposal.evidence is Evidence.CHECKSUM for proposal in outcome.proposals)
    assert after == image


def test_a_lost_uuid_takes_nothing_else_along() -> None:
    noise = random.Random(3).randbytes(40)
    outcome, after = repair(changed(IMAGE, (168, noise), (SIZE + 168, noise)))
    assert [proposal.evidence for proposal in outcome.proposals] == [Evidence.STRUCTURE] * 2
    own = {at + start for start in (0, SIZE) for at in (*range(168, 208), *range(448, 512))}
    assert differing(after) <= own


FRESH = {at for start in (0, SIZE) for at in (*range(start + 104, start + 168), *range(start + 448, start + 480))}
"""Salts and checksums: a copy made from the other has its own."""


def differing(after: bytes) -> set[int]:
    return {at for at in range(2 * SIZE) if after[at] != IMAGE[at]}


AREA_BITS = st.integers(0, 8 * SIZE - 1).filter(lambda bit: not 480 <= bit // 8 < 512)
"""The last half of the checksum field is not looked at with sha256: no damage there, nothing to mend."""


@settings(max_examples=60, deadline=None)
@given(AREA_BITS, st.one_of(st.none(), AREA_BITS))
def test_a_flipped_bit_in_either_or_both_copies_is_set_right(first: int, second: int | None) -> None:
    image = flipped(IMAGE, first) if second is None else flipped(IMAGE, first, second + 8 * SIZE)
    started = time.process_time()
    outcome, after = repair(image)
    assert time.process_time() - started < 2
    assert outcome.proposals
    assert is_healthy(after)
    assert differing(after) <= FRESH


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 8 * SIZE - 1).filter(lambda bit: not 480 <= bit // 8 < 512))
def test_the_same_bit_in_both_copies_is_set_right(bit: int) -> None:
    started = time.process_time()
    _, after = repair(flipped(IMAGE, bit, bit + 8 * SIZE))
    assert time.process_time() - started < 2
    assert is_healthy(after)
    assert differing(after) <= FRESH


def test_two_flipped_bits_of_which_one_makes_no_text() -> None:
    at = IMAGE.index(b'"salt":"') + 12
    bits = (8 * at + 7, 8 * (at + 30) + 1)
    outcome, after = repair(flipped(IMAGE, *bits, *(bit + 8 * SIZE for bit in bits)))
    assert after == IMAGE
    assert any("two bits" in proposal.why for proposal in outcome.proposals)


def test_a_long_search_gives_an_estimate_first_and_stops_in_time() -> None:
    at = IMAGE.index(b'"salt":"') + 12
    bits = (8 * at + 1, 8 * (at + 30) + 1, 8 * 110, 8 * (at + 34))
    estimates: list[tuple[str, float]] = []
    effort = Effort(3, announce=lambda label, even, most: estimates.append((label, most)))
    reader = BytesReader(flipped(IMAGE, *bits, *(bit + 8 * SIZE for bit in bits)))
    outcome = propose_repair(reader, seeded_bytes(), effort)
    assert effort.ran_out
    assert [label for label, _ in estimates][:1] == ["two flipped bits"]
    assert estimates[0][1] > 10
    # what is left is a guess: both copies say the same, though neither checksum holds
    assert {proposal.evidence for proposal in outcome.proposals} == {Evidence.STRUCTURE}


@pytest.mark.parametrize("bit", [0, 7])
def test_a_bit_in_the_json_and_one_in_the_checksum_of_both_copies(bit: int) -> None:
    bits = [8 * (TEXT_END - 100) + bit, 8 * 462 + 3]
    damaged = flipped(IMAGE, *bits, *(at + 8 * SIZE for at in bits))
    started = time.process_time()
    outcome = propose_repair(BytesReader(damaged), seeded_bytes(), Effort())
    assert time.process_time() - started < 2
    assert PatchedReader(BytesReader(damaged), outcome.patches).read_at(0, 2 * SIZE) == IMAGE[: 2 * SIZE]


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("seed", [1, 2])
def test_two_flipped_bits_in_both_copies_are_set_right_in_five_minutes(seed: int) -> None:
    chance = random.Random(seed)
    bits = [8 * chance.randrange(BINARY_BYTES, TEXT_END) + chance.randrange(7) for _ in range(2)]
    damaged = flipped(IMAGE, *bits, *(bit + 8 * SIZE for bit in bits))
    estimates: list[tuple[str, float]] = []
    effort = Effort(1000, announce=lambda label, even, most: estimates.append((label, most)))
    started = time.process_time()
    outcome = propose_repair(BytesReader(damaged), seeded_bytes(), effort)
    print(f"bits {bits}: {time.process_time() - started:.1f} s, estimated {estimates}")
    assert time.process_time() - started < 300
    assert PatchedReader(BytesReader(damaged), outcome.patches).read_at(0, 2 * SIZE) == IMAGE[: 2 * SIZE]

"""Headers and keyslots put together from several images of one volume."""

from __future__ import annotations

from generators.headers import PASSPHRASE, luks1_image, luks2_image, seeded_bytes, with_binary

from luksafe.errors import KeyRejected
from luksafe.luks.inspection import inspect
from luksafe.luks.repair.proposal import Evidence, Outcome, PatchedReader
from luksafe.luks.repair.stitch import Source, stitch
from luksafe.luks.unlock import unlock
from luksafe.reader import BytesReader, Reader
from luksafe.secret import SecretBytes

IMAGE = luks2_image()
SIZE, AREA = 16384, 32768


def changed(image: bytes, *changes: tuple[int, bytes]) -> bytes:
    out = bytearray(image)
    for at, data in changes:
        out[at : at + len(data)] = data
    return bytes(out)


def opens(volume: Reader, slot: int) -> bool:
    try:
        unlock(volume, inspect(volume).require_header(), SecretBytes(PASSPHRASE), keyslot=slot)
    except KeyRejected:
        return False
    return True


def run(image: bytes, *sources: bytes, key: bool = False) -> tuple[Outcome, bytes]:
    reader = BytesReader(image)
    named = [Source(f"source{n}", BytesReader(data)) for n, data in enumerate(sources)]
    outcome = stitch(reader, named, Outcome(left=("no header",)), seeded_bytes(), opens if key else None)
    return outcome, PatchedReader(reader, outcome.patches).read_at(0, len(image))


def test_a_header_comes_from_the_source_whose_key_material_is_the_same() -> None:
    outcome, after = run(changed(IMAGE, (0, bytes(2 * SIZE))), bytes(len(IMAGE)), IMAGE)
    assert after == IMAGE
    assert [proposal.evidence for proposal in outcome.proposals] == [Evidence.AGREEMENT]


def test_a_header_that_nothing_ties_to_this_volume_is_a_guess() -> None:
    outcome, _ = run(bytes(len(IMAGE)), IMAGE)
    assert [p.code for p in outcome.proposals] == ["header-from-source", "keyslot-from-source"]
    assert {p.evidence for p in outcome.proposals} == {Evidence.STRUCTURE}


def test_a_source_with_one_copy_gives_both() -> None:
    outcome, after = run(changed(IMAGE, (0, bytes(2 * SIZE))), changed(IMAGE, (0, bytes(SIZE))))
    assert after[SIZE : 2 * SIZE] == IMAGE[SIZE : 2 * SIZE]
    assert not inspect(BytesReader(after)).all_findings
    assert len(outcome.patches) == 2


def test_a_luks1_header_comes_whole() -> None:
    image = luks1_image()
    outcome, after = run(changed(image, (0, bytes(592))), image)
    assert after == image
    assert outcome.proposals[0].evidence is Evidence.AGREEMENT


def test_sources_that_contradict_each_other_are_shown() -> None:
    outcome, after = run(changed(IMAGE, (0, bytes(2 * SIZE))), IMAGE, with_binary(IMAGE, uuid="x" * 36))
    assert [side.option for side in outcome.sides] == ["--from source0", "--from source1"]
    assert after == changed(IMAGE, (0, bytes(2 * SIZE)))


def test_no_source_has_a_header() -> None:
    outcome, _ = run(bytes(len(IMAGE)), bytes(4096))
    assert not outcome.proposals
    assert len(outcome.left) == 2


def test_only_the_destroyed_sectors_of_a_keyslot_are_taken() -> None:
    damaged = changed(IMAGE, (AREA + 1024, bytes(512)), (AREA + 4096, b"\xff" * 1024))
    for key in (False, True):
        outcome, after = run(damaged, IMAGE, key=key)
        assert after == IMAGE
        assert [len(patch.data) for patch in outcome.patches] == [512, 1024]
        assert outcome.proposals[0].evidence is (Evidence.DIGEST if key else Evidence.AGREEMENT)


def test_a_source_damaged_elsewhere_helps_with_what_it_has() -> None:
    damaged, other = changed(IMAGE, (AREA, bytes(512))), changed(IMAGE, (AREA + 8192, bytes(512)))
    assert run(damaged, other)[1] == IMAGE
    assert run(damaged, damaged)[0].proposals == ()


def test_random_looking_damage_needs_the_passphrase() -> None:
    damaged = changed(IMAGE, (AREA + 512, seeded_bytes(5)(512)))
    assert run(damaged, IMAGE)[0].proposals == ()
    outcome, after = run(damaged, IMAGE, key=True)
    assert after == IMAGE
    assert outcome.proposals[0].evidence is Evidence.DIGEST


def test_a_keyslot_that_opens_is_left_alone() -> None:
    assert run(IMAGE, changed(IMAGE, (AREA, seeded_bytes(5)(512))), key=True)[0].proposals == ()

"""Judgement from facts: what a running mapping, an interrupted write, a begun reencryption change in the answer."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import Corpus
from generators.headers import UUID, luks1_image, luks2_image, with_document

from luksafe.device.mappings import Mapping
from luksafe.ops.diagnosis.attempt import Attempt
from luksafe.ops.diagnosis.facts import Facts, gather
from luksafe.ops.diagnosis.heat import heat_cells
from luksafe.ops.diagnosis.judge import diagnose
from luksafe.ops.diagnosis.known_packets import KnownPacket
from luksafe.ops.diagnosis.model import State, Verdict
from luksafe.ops.diagnosis.rules.of_whole_headers import LUKS1_REENCRYPTING_STORY
from luksafe.ops.rescue.story import tell
from luksafe.ops.target import open_target
from luksafe.ops.workspace import Workspace

NOISE = random.Random(2).randbytes(1 << 20)
MAPPING = Mapping(
    "home", "/dev/dm-0", (253, 0), "CRYPT-LUKS2-x-home", "LUKS2", "x", 1 << 20, False, False, "/dev/x", ()
)


def facts_of(data: bytes, folder: Path) -> Facts:
    path = folder / "disk.img"
    path.write_bytes(data)
    workspace = Workspace(folder / "no-vault", state_folder=folder / "state")
    with open_target(workspace, str(path)) as target:
        return gather(workspace, target)


def test_mapped_and_damaged_says_so_first(tmp_path: Path) -> None:
    data = bytes(65536) + luks2_image()[65536:] + NOISE
    facts = replace(facts_of(data, tmp_path), mappings=(MAPPING,))
    diagnosis = diagnose(facts)
    assert diagnosis.verdict is Verdict.NEEDS_KEY
    assert diagnosis.first[0].startswith("DO NOT CLOSE IT, DO NOT REBOOT")
    assert diagnosis.next[0] == f"luksafe rebuild {facts.device} --from-mapping home"
    assert any("do not reboot" in line for line in diagnosis.avoid)


def test_mapped_and_healthy_is_no_alarm(tmp_path: Path) -> None:
    diagnosis = diagnose(replace(facts_of(luks2_image() + NOISE, tmp_path), mappings=(MAPPING,)))
    assert (diagnosis.verdict, diagnosis.first) == (Verdict.HEALTHY, ())


def test_suspended_mapping_with_its_key_wiped(tmp_path: Path) -> None:
    from luksafe.device.crypt_table import CryptTable, MappingKey

    table = CryptTable(0, 2048, "aes-xts-plain64", MappingKey("zeros", 64), 0, "254:0", 32768)
    wiped = replace(MAPPING, is_suspended=True, tables=(table,))
    diagnosis = diagnose(replace(facts_of(luks2_image() + NOISE, tmp_path), mappings=(wiped,)))
    assert "wiped" in diagnosis.first[0]


def test_interrupted_write_comes_first(tmp_path: Path) -> None:
    facts = replace(facts_of(luks2_image() + NOISE, tmp_path), interruption="a write was interrupted")
    diagnosis = diagnose(facts)
    assert diagnosis.next[0].startswith("luksafe undo ")
    assert "interrupted" in diagnosis.first[0]


def test_lost_only_when_no_data_are_left_either(tmp_path: Path) -> None:
    start = bytearray(luks2_image())
    start[4096:16384], start[20480:] = bytes(12288), bytes(len(start) - 20480)
    assert diagnose(facts_of(bytes(start) + bytes(24 << 20), tmp_path)).verdict is Verdict.LOST
    assert diagnose(facts_of(bytes(start) + bytes(17 << 20) + NOISE * 6, tmp_path)).verdict is Verdict.NEEDS_BACKUP


def test_parameters_that_do_not_fit_the_data(tmp_path: Path) -> None:
    attempt = Attempt(keyslot=0, better="with sectors of 4096 bytes it decrypts to ext4")
    diagnosis = diagnose(replace(facts_of(luks2_image() + NOISE, tmp_path), attempt=attempt))
    assert diagnosis.verdict is Verdict.NEEDS_BACKUP
    assert "wrong-parameters" in {f.code for f in diagnosis.findings}


def test_requirements(tmp_path: Path) -> None:
    def require(name: str) -> bytes:
        return with_document(luks2_image(), lambda d: d["config"].update(requirements={"mandatory": [name]})) + NOISE

    assert diagnose(facts_of(require("from-the-future"), tmp_path)).verdict is Verdict.UNSUPPORTED
    opal = diagnose(facts_of(require("opal"), tmp_path))
    assert opal.verdict is Verdict.HEALTHY
    assert "opal" in {f.code for f in opal.findings}


def test_a_segment_that_ends_behind_the_device(tmp_path: Path) -> None:
    data = with_document(luks2_image(), lambda d: d["segments"]["0"].update(size=str(4 << 20))) + NOISE
    assert "data-truncated" in {f.code for f in diagnose(facts_of(data, tmp_path)).findings}


def test_an_older_format_shines_through(tmp_path: Path) -> None:
    data = bytearray(luks2_image())
    data[:4096] = luks1_image()[:4096]
    codes = {f.code for f in diagnose(facts_of(bytes(data) + NOISE * 2, tmp_path)).findings}
    assert "stale-header" in codes


@pytest.mark.parametrize("case_id", ["re-checksum-stopped", "re-journal-crashed", "re-encrypt-datashift-init"])
def test_reencryption_says_what_to_run(case_id: str, corpus: Corpus, tmp_path: Path) -> None:
    diagnosis = diagnose(facts_of(corpus.data(case_id), tmp_path))
    assert any(line.startswith("cryptsetup reencrypt --resume-only ") for line in diagnosis.next)
    text = next(f.text for f in diagnosis.findings if f.code == "reencryption")
    assert ("encryption in place" in text) == (case_id == "re-encrypt-datashift-init")


def test_heat_cells_cover_the_area_and_show_no_bytes(tmp_path: Path) -> None:
    facts = facts_of(luks2_image() + NOISE, tmp_path)
    cells = heat_cells(facts, 1 << 20, 500)
    assert len(cells) <= 500
    assert cells[0].offset == 0 and cells[-1].offset + cells[-1].length >= 1 << 20
    assert {cell.kind for cell in cells} <= {"random", "zeros", "text", "structured", "pattern"}


def test_states_of_inactive_luks1_keyslots(tmp_path: Path) -> None:
    keyslots = diagnose(facts_of(luks1_image() + NOISE, tmp_path)).keyslots
    assert [k.state for k in keyslots] == [State.INTACT] + [State.INACTIVE] * 7


PACKET = KnownPacket("0123456789abcdef", is_of_volume=True, holds_volume_key=True, asks=True)


def test_a_packet_holds_the_key_where_the_header_is_gone(tmp_path: Path) -> None:
    data = bytes(65536) + luks2_image()[65536:] + NOISE
    facts = replace(facts_of(data, tmp_path), packets=(PACKET,))
    diagnosis = diagnose(facts)
    assert diagnosis.verdict is Verdict.NEEDS_KEY
    assert f"luksafe escrow apply {PACKET.id} {facts.device}" in diagnosis.next


def test_a_packet_gives_a_new_passphrase_where_only_the_keyslot_is_gone(tmp_path: Path) -> None:
    data = luks2_image()[:32768] + bytes((1 << 20) - 32768) + NOISE
    without = facts_of(data, tmp_path)
    assert diagnose(without).verdict is Verdict.NEEDS_BACKUP
    diagnosis = diagnose(replace(without, packets=(PACKET,)))
    assert diagnosis.verdict is Verdict.NEEDS_KEY
    assert f"luksafe escrow apply {PACKET.id} {without.device}" in diagnosis.next


def test_never_lost_while_there_is_a_packet(tmp_path: Path) -> None:
    lost = facts_of(luks2_image()[:4096] + bytes(24 << 20), tmp_path)
    assert diagnose(lost).verdict is Verdict.LOST
    of_somebody = replace(PACKET, is_of_volume=False)
    assert diagnose(replace(lost, packets=(of_somebody,))).verdict is Verdict.NEEDS_BACKUP


def test_a_killed_reencryption_of_luks1_is_no_damaged_magic(tmp_path: Path) -> None:
    image = luks1_image()
    diagnosis = diagnose(facts_of(b"LUKS\xde\xad" + image[6:] + NOISE, tmp_path))
    assert diagnosis.verdict is Verdict.NEEDS_BACKUP
    assert "reencryption" in diagnosis.summary
    device, name = tmp_path / "disk.img", f"LUKS-{UUID}"
    assert list(diagnosis.next) == [
        f"ls -l {name}.log {name}.org {name}.new",
        f"dd if={device} of={name}.header bs=512 count={(2 << 20) // 512}",
        f"cryptsetup reencrypt --header {name}.header {device}",
        f"luksafe restore {name}.header {device}",
    ]


def test_rescue_tells_of_it_and_of_nothing_that_a_backup_would_bring_back(tmp_path: Path) -> None:
    facts = facts_of(b"LUKS\xde\xad" + luks1_image()[6:] + NOISE, tmp_path)
    (told, *_) = tell(diagnose(facts), facts, ())
    assert told == LUKS1_REENCRYPTING_STORY

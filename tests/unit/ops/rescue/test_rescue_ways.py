"""The ways out that rescue offers, best first, for what real images show; and the copy made before any of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Corpus
from generators.headers import UUID, luks2_image, seeded_bytes, with_binary
from mapping_samples import mapping

from luksafe.device.exclusive import WritableDevice
from luksafe.device.source import DeviceReader
from luksafe.errors import Refused
from luksafe.ops.backup import backup_device
from luksafe.ops.diagnosis import facts
from luksafe.ops.rescue import first_copy, lost_partitions
from luksafe.ops.rescue.first_copy import keep_first_copy
from luksafe.ops.rescue.look import look
from luksafe.ops.rescue.lost_partitions import partition_ways
from luksafe.ops.rescue.model import Chance, Guess, Outlook, Risk, Tried, after_write
from luksafe.ops.restore import plan
from luksafe.ops.undo import note_outcome, plan_undo
from luksafe.ops.workspace import Workspace
from luksafe.ops.write.apply import WriteFailed, apply

DATA = seeded_bytes(5)(1 << 20)
GUESS = Guess(1 << 20, 8 << 20, UUID, sure=True)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "vault", state_folder=tmp_path / "state", host="nas")


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    path = tmp_path / "disk.img"
    path.write_bytes(luks2_image() + DATA)
    return path


def ways(outlook: Outlook) -> dict[str, tuple[Chance, Risk]]:
    """In the order in which they are offered."""
    return {way.key.partition(":")[0] or way.key: (way.chance, way.risk) for way in outlook.ways}


def command(outlook: Outlook, key: str) -> str:
    return next(way for way in outlook.ways if way.key.startswith(key)).steps[0].shown


def test_of_a_healthy_volume_only_the_passphrase_is_in_doubt(workspace: Workspace, disk: Path) -> None:
    seen = look(workspace, str(disk), ()).outlook
    assert (seen.is_healthy, list(ways(seen))) == (True, ["passphrase"])
    assert command(seen, "passphrase") == f"luksafe diagnose {disk} --try-variants"


def test_without_a_header_no_passphrase_is_tried_on_the_keyslots_of_a_backup(workspace: Workspace, disk: Path) -> None:
    backup_device(workspace, str(disk))
    disk.write_bytes(bytes(32768) + disk.read_bytes()[32768:])
    assert set(ways(look(workspace, str(disk), ()).outlook)) == {"read", "restore", "search"}


def test_what_the_other_copy_proves_is_mended_first(workspace: Workspace, disk: Path) -> None:
    disk.write_bytes(bytes(4096) + disk.read_bytes()[4096:])
    seen = look(workspace, str(disk), ()).outlook
    assert next(iter(ways(seen).items())) == ("repair", (Chance.VERY_LIKELY, Risk.UNDOABLE))
    assert command(seen, "repair") == f"luksafe repair {disk}"


def test_what_nothing_proves_is_never_allowed_by_rescue_itself(workspace: Workspace, disk: Path) -> None:
    whole = disk.read_bytes()
    hurt = bytearray(whole)
    for at in (0, 16384):  # the checksums of both copies: what remains speaks for itself only
        hurt[at + 448 : at + 480] = bytes(32)
    disk.write_bytes(hurt)
    seen = look(workspace, str(disk), ()).outlook
    repair = next(way for way in seen.ways if way.key == "repair")
    assert repair.steps[0].text.startswith("Asks for the passphrase")
    assert not [step for way in seen.ways for step in way.steps if "--allow-unproven" in step.command]


def test_what_was_tried_is_struck_off_and_comes_back_only_when_the_header_is_another(
    workspace: Workspace, disk: Path
) -> None:
    backup_device(workspace, str(disk))
    disk.write_bytes(bytes(32768) + disk.read_bytes()[32768:])
    seen = look(workspace, str(disk), ()).outlook
    read, *_ = (way for way in seen.ways if way.key.startswith("read:"))
    tried = [Tried(read.key, read.title, "it says no"), Tried("search", "", ""), Tried("passphrase", "", "")]
    assert seen.left(tried) == ()  # to write a backup that opens nothing is no other way
    assert [item.key for item in after_write(tried)] == [read.key, "search"]


def test_of_two_copies_that_differ_both_are_shown_and_none_is_chosen(workspace: Workspace, disk: Path) -> None:
    disk.write_bytes(with_binary(luks2_image(), (1,), label="other") + DATA)
    seen = look(workspace, str(disk), ()).outlook
    sides = [way for way in seen.ways if way.key.startswith("repair:")]
    assert {way.key for way in sides} == {"repair:primary", "repair:secondary"}
    assert {way.chance for way in sides} == {Chance.MAY}
    assert len({way.steps[0].shown for way in sides}) == 2


def test_an_open_mapping_is_said_before_all_else(
    workspace: Workspace, disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk.write_bytes(bytes(1 << 20) + DATA)
    monkeypatch.setattr(facts, "mappings_over", lambda path: [mapping(disk)])
    seen = look(workspace, str(disk), ()).outlook
    assert seen.urgent[0].startswith("DO NOT CLOSE IT, DO NOT REBOOT: it is mapped right now as home")
    assert command(seen, "mapping:home") == f"luksafe rebuild {disk} --from-mapping home"


def test_a_write_that_was_interrupted_is_finished_or_taken_back(
    workspace: Workspace, disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backup = backup_device(workspace, str(disk)).added.id
    disk.write_bytes(bytes(1 << 20) + DATA)

    def fail(device: WritableDevice, offset: int, data: bytes) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch, pytest.raises(WriteFailed):
        patch.setattr(WritableDevice, "write_at", fail)
        apply(plan(workspace, backup, str(disk)), workspace)
    seen = look(workspace, str(disk), ()).outlook
    assert command(seen, "finish") == f"luksafe undo --finish {disk}"
    assert command(seen, "undo") == f"luksafe undo {disk}"
    assert ways(seen)["finish"] < ways(seen)["undo"]
    note_outcome(workspace, plan_undo(workspace, disk))
    assert "finish" not in ways(look(workspace, str(disk), ()).outlook)


def test_a_reencryption_is_resumed_by_cryptsetup_without_an_undo(
    workspace: Workspace, tmp_path: Path, corpus: Corpus
) -> None:
    image = tmp_path / "re.img"
    image.write_bytes(corpus.data("re-checksum-stopped"))
    assert ways(look(workspace, str(image), ()).outlook)["reencryption"] == (Chance.LIKELY, Risk.SLOW_OR_FOREIGN)


def test_where_nothing_is_known_the_device_is_searched_and_what_is_found_opened(
    workspace: Workspace, tmp_path: Path
) -> None:
    blank = tmp_path / "blank.img"
    blank.write_bytes(bytes(2 << 20))
    assert ways(look(workspace, str(blank), ()).outlook)["search"] == (Chance.LIKELY, Risk.READS_ONLY)
    found = look(workspace, str(blank), [GUESS]).outlook
    assert "search" not in ways(found)


def test_a_lost_partition_of_a_file_is_reached_read_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lost_partitions, "_free_loop", lambda: "/dev/loop9")
    [way] = partition_ways("disk.img", [GUESS])
    assert way.steps[0].shown == "losetup --read-only --offset 1048576 --sizelimit 8388608 /dev/loop9 disk.img"
    assert not any(step.writes for step in way.steps)
    monkeypatch.setattr(lost_partitions, "_free_loop", lambda: "")
    assert list(partition_ways("disk.img", [GUESS])) == []


def test_a_lost_partition_of_a_disk_is_reached_read_only(loop_device: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "disk.img").write_bytes(bytes(16 << 20))
    device = loop_device(tmp_path / "disk.img")
    sure, unsure = partition_ways(device, [GUESS, Guess(9 << 20, 1 << 20, UUID, sure=False)])
    table = f"0 16384 linear {device} 2048"
    assert sure.steps[0].command == ("dmsetup", "create", "--readonly", "luksafe-lost1", "--table", table)
    assert (sure.chance, unsure.chance) == (Chance.VERY_LIKELY, Chance.LIKELY)


def test_the_first_copy_counts_what_could_not_be_read(
    workspace: Workspace, disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = disk.read_bytes()
    real = DeviceReader.read_at

    def read_at(reader: DeviceReader, offset: int, length: int) -> bytes:
        if reader.path == str(disk) and offset < 8704 and offset + length > 8192:
            raise OSError(5, "Input/output error", reader.path)
        return real(reader, offset, length)

    monkeypatch.setattr(DeviceReader, "read_at", read_at)
    kept = keep_first_copy(workspace, str(disk), tmp_path, 0)
    assert (kept.size_bytes, kept.bad, len(kept.places)) == (len(whole), 4096, 2)
    assert kept.file.read_bytes() == whole[:8192] + bytes(4096) + whole[12288:]


def test_the_first_copy_does_not_go_to_the_device_itself(
    workspace: Workspace, disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(first_copy, "is_stored_on", lambda folder, device: True)
    with pytest.raises(Refused, match="lies on the device that is to be rescued"):
        keep_first_copy(workspace, str(disk), tmp_path, 0)

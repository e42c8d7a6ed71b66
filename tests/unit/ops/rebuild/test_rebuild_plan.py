"""A key with an active mapping over its device: what proves it, what is in the way, what is written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from generators.headers import CHEAP_PBKDF2, UUID, VOLUME_KEY, luks2_image, with_document
from mapping_samples import mapped_files, mapping, table

from luksafe.device.mappings import Mapping
from luksafe.device.usage import Use
from luksafe.errors import Busy, KeyRejected, Refused
from luksafe.luks.create import Parameters
from luksafe.luks.inspection import inspect
from luksafe.luks.model import Json
from luksafe.ops.rebuild.bases import FoundHeader, choose_base
from luksafe.ops.rebuild.known import KeySource, Volume, gather, look
from luksafe.ops.rebuild.new_header import make_header
from luksafe.ops.rebuild.plan import plan_rebuild, uses_beside_mapping
from luksafe.ops.rebuild.rebuild import rehearse, write_to_device
from luksafe.ops.workspace import Workspace
from luksafe.reader import BytesReader
from luksafe.secret import SecretBytes

PARAMETERS = Parameters("luks2", UUID, "aes-xts-plain64", 1 << 20)
NEW = SecretBytes(b"new")


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "vault", state_folder=tmp_path / "state")


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    return mapped_files(tmp_path, luks2_image())


@pytest.fixture
def volume(files: tuple[Path, Path]) -> Iterator[Volume]:
    """The device, with its mapping."""
    with look(str(files[0])) as found:
        yield replace(found, mapping=mapping(*files))


def source(key: bytes = VOLUME_KEY, **changes: Any) -> KeySource:
    return KeySource(SecretBytes(key), "a test", replace(PARAMETERS, **changes))


def wiped(volume: Volume) -> Volume:
    Path(volume.device).write_bytes(bytes(1 << 20) + Path(volume.device).read_bytes()[1 << 20 :])
    return replace(volume, inspection=inspect(volume.reader))


def test_a_mapping_proves_key_and_parameters(workspace: Workspace, volume: Volume) -> None:
    known = gather(workspace, wiped(volume), source())
    assert [proof.by for proof in known.proofs] == ["mapping"]
    assert rehearse(workspace, wiped(volume), known, to_file=False).dangers == ()


@pytest.mark.parametrize("changes", [{"iv_tweak": 8}, {"data_offset": 1 << 19}, {"sector_size": 4096}])
def test_a_mapping_disproves_wrong_parameters(workspace: Workspace, volume: Volume, changes: dict[str, Any]) -> None:
    with pytest.raises(Refused) as raised:
        gather(workspace, wiped(volume), source(**changes))
    assert raised.value.code == "wrong-pair"


def test_a_mapping_disproves_a_wrong_key(workspace: Workspace, volume: Volume) -> None:
    with pytest.raises(Refused, match="0 of 1024 sectors"):
        gather(workspace, wiped(volume), source(VOLUME_KEY[::-1]))


def test_a_suspended_mapping_is_not_read(workspace: Workspace, volume: Volume) -> None:
    assert volume.mapping is not None
    suspended = replace(wiped(volume), mapping=replace(volume.mapping, is_suspended=True, path="/nonexistent"))
    known = gather(workspace, suspended, source())
    assert known.proofs == ()
    assert rehearse(workspace, suspended, known, to_file=False).confidence.data == "sense"


def test_a_digest_that_comes_with_the_parameters_has_to_fit(workspace: Workspace, volume: Volume) -> None:
    header = inspect(BytesReader(luks2_image())).require_header()
    with pytest.raises(KeyRejected):
        gather(workspace, replace(volume, mapping=None), source(VOLUME_KEY[::-1], digest=header.digests[0]))


def test_the_mapping_and_what_stands_on_it_are_no_danger_but_others_are(volume: Volume) -> None:
    assert volume.mapping is not None
    own = Use("mapping", volume.mapping.path, "the mapping stands on it")
    above = Use("mounted", "/home", "the mapping is mounted")
    other = Use("mounted", "/mnt", "the device itself is mounted")
    used = replace(volume, uses=(own, above, other), mapping=replace(volume.mapping, uses=(above,)))
    assert uses_beside_mapping(used) == [other]
    assert uses_beside_mapping(replace(used, mapping=None)) == [own, above, other]


def test_dangers(workspace: Workspace, volume: Volume) -> None:
    """Without a proof by the data, a whole header of another key and other users are dangers."""
    other = Use("mounted", "/mnt", "the device itself is mounted")
    alone = replace(volume, mapping=None, uses=(other,))
    wrong = KeySource(SecretBytes(VOLUME_KEY[::-1]), "a test", PARAMETERS)
    found = rehearse(workspace, alone, gather(workspace, alone, wrong), to_file=False)
    flags = [danger.flag for danger in found.dangers]
    assert flags == ["--allow-noise", "--allow-in-use", "--allow-other-volume"]


def test_the_header_of_another_volume_is_replaced_when_the_data_are_ours(workspace: Workspace, files: Any) -> None:
    device, shown = files
    data = device.read_bytes()[1 << 20 :]
    formatted = with_document(luks2_image(uuid="11111111-2222-3333-4444-555555555555"), lambda document: None)
    device.write_bytes(formatted + data)
    with look(str(device)) as found:
        volume = replace(found, mapping=mapping(device, shown))
        planned = rehearse(workspace, volume, gather(workspace, volume, source()), to_file=False).plan
    assert planned is not None and planned.dangers == ()
    assert "UUID 11111111-2222-3333-4444-555555555555" in planned.changes[0]


def test_a_mapping_that_begins_within_the_header_area_is_in_the_way(workspace: Workspace, volume: Volume) -> None:
    assert volume.mapping is not None
    early = replace(volume, mapping=replace(volume.mapping, is_suspended=True, tables=(table(offset_sectors=8),)))
    with pytest.raises(Refused, match="the data begin at byte 4096"):
        rehearse(workspace, early, gather(workspace, early, source()), to_file=False)


def test_no_header_over_the_start_of_the_data(workspace: Workspace, volume: Volume) -> None:
    detached = replace(volume, mapping=None)
    known = gather(workspace, detached, source(data_offset=0))
    with pytest.raises(Refused, match="the data begin at byte 0"):
        rehearse(workspace, detached, known, to_file=False)


def test_written_under_the_mapping(workspace: Workspace, volume: Volume) -> None:
    volume = wiped(volume)
    before = Path(volume.device).read_bytes()
    known = gather(workspace, volume, source())
    new = make_header(known, NEW, CHEAP_PBKDF2, workspace.random_bytes)
    confidence = rehearse(workspace, volume, known, to_file=False).confidence
    said: list[str] = []
    plan = plan_rebuild(volume, known, new, confidence)
    _, seen = write_to_device(workspace, volume, plan, known, NEW, said.append)
    assert seen.require_header().uuid == UUID
    assert Path(volume.device).read_bytes()[1 << 20 :] == before[1 << 20 :]


def test_a_device_that_was_taken_into_use_after_the_plan(
    workspace: Workspace, volume: Volume, loop_device: Callable[..., str]
) -> None:
    volume = replace(volume, mapping=None)
    known = gather(workspace, volume, source())
    new = make_header(known, NEW, CHEAP_PBKDF2, workspace.random_bytes)
    plan = plan_rebuild(volume, known, new, rehearse(workspace, volume, known, to_file=False).confidence)
    before = Path(volume.device).read_bytes()
    loop_device(Path(volume.device))
    with pytest.raises(Busy):
        write_to_device(workspace, volume, plan, known, NEW, print)
    assert Path(volume.device).read_bytes() == before


def test_headers_that_are_no_base() -> None:
    def in_reencryption(document: Json) -> None:
        document["config"]["requirements"] = {"mandatory": ["online-reencrypt-v2"]}
        segment = document["segments"]["0"]
        document["segments"]["1"] = {**segment, "flags": ["backup-previous"]}
        document["segments"]["2"] = {**segment, "flags": ["backup-final"]}
        document["digests"]["0"]["segments"] = ["0", "1", "2"]
        document["keyslots"]["1"] = {
            "type": "reencrypt",
            "key_size": 1,
            "mode": "reencrypt",
            "direction": "forward",
            "area": {"type": "checksum", "offset": "786432", "size": "4096", "hash": "sha256", "sector_size": 512},
        }

    images = {
        "in reencryption": with_document(luks2_image(), in_reencryption),
        "another": luks2_image(sector_size=4096),
        "damaged": b"LUKS\xba\xbe\0\2" + bytes(1 << 20),
    }
    found = [FoundHeader(BytesReader(i), inspect(BytesReader(i)), name) for name, i in images.items()]
    base, notes = choose_base(found, SecretBytes(VOLUME_KEY), PARAMETERS)
    assert base is None
    assert [note.partition(" is not used: ")[2] for note in notes] == [
        "it is in reencryption",
        "it proves the key, but says otherwise of sector size",
        "it is damaged",
    ]


def test_mapping_facts_are_those_of_the_samples(files: tuple[Path, Path]) -> None:
    made: Mapping = mapping(*files)
    assert (made.tables[0].offset_sectors * 512, made.luks_uuid) == (PARAMETERS.data_offset, UUID)

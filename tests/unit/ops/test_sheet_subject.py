from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from generators.headers import UUID, luks1_image, luks2_image

from luksafe.luks.inspection import inspect
from luksafe.luks.model import Header
from luksafe.ops.backup import backup_device
from luksafe.ops.sheet_procedures import procedures_for
from luksafe.ops.sheet_subject import parameter_facts, subject_of
from luksafe.ops.target import open_target
from luksafe.ops.workspace import Workspace
from luksafe.paper.sheet import SheetKind
from luksafe.reader import BytesReader


def header_of(image: bytes) -> Header:
    return inspect(BytesReader(image)).require_header()


def test_every_parameter_in_words() -> None:
    assert dict(parameter_facts(header_of(luks2_image()))) == {
        "Format": "LUKS2",
        "Cipher": "aes-xts-plain64",
        "Volume key": "512 bits",
        "Sector size": "512 bytes",
        "Data begins at": "1048576 bytes (sector 2048)",
        "Data end at": "the end of the device",
        "IV offset": "0 sectors of 512 bytes",
        "Digest": "pbkdf2 sha256, 100000 iterations",
        "Header": "two copies of 16384 bytes, keyslots area of 1015808 bytes",
    }
    facts = dict(parameter_facts(header_of(luks1_image())))
    assert facts["Format"] == "LUKS1"
    assert "Header" not in facts


def test_a_fixed_size_an_iv_offset_and_integrity() -> None:
    header = header_of(luks2_image())
    segment = replace(header.segments[0], size=1 << 20, iv_tweak=4096, integrity={"type": "hmac(sha256)"})
    unusual = replace(header, segments={0: segment})
    facts = dict(parameter_facts(unusual))
    assert facts["Data end at"] == "2097152 bytes"
    assert facts["IV offset"] == "4096 sectors of 512 bytes"
    assert facts["Integrity"] == "hmac(sha256)"
    (procedure,) = procedures_for(SheetKind.VOLUME_KEY, b"", "volume.key", unusual)
    assert "only luksafe" in procedure.steps[-1].text
    assert not procedure.steps[-1].commands


def test_the_device_itself_and_its_backup(tmp_path: Path) -> None:
    image = tmp_path / "disk.img"
    image.write_bytes(luks2_image() + bytes(1 << 20))
    workspace = Workspace(tmp_path / "vault", host="nas1")
    backup_device(workspace, str(image))
    elsewhere = Workspace(tmp_path / "vault", host="rescue")
    for where, text in ((workspace, str(image)), (elsewhere, UUID)):
        with open_target(where, text) as target:
            subject = subject_of(where, target)
        assert subject.opens == (("Volume", UUID), ("Label", "test"), ("Host", "nas1"), ("Device", str(image)))
        assert subject.name == "test"


def test_a_header_kind_has_no_steps_of_its_own() -> None:
    assert procedures_for(SheetKind.HEADER, b"", "header", None) == ()
    assert len(procedures_for(SheetKind.PACKET, b"age-encryption.org/v1\n-> X25519 x\n", "packet.age", None)) == 2

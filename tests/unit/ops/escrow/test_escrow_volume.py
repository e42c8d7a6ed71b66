"""Proving a volume before its key is sealed, and changing its keyslots only where that is safe."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from generators.headers import PASSPHRASE, UUID, VOLUME_KEY, luks1_image, luks2_image, with_document

from luksafe import programs
from luksafe.device.cryptsetup import run_cryptsetup
from luksafe.errors import DamagedInput, KeyRejected, LuksafeError, NotFound, Refused, Unsupported, UsageError
from luksafe.luks.model import Json
from luksafe.ops.escrow.keyslots import add_keyslot, prove_keyslot, require_live
from luksafe.ops.escrow.volume import make_contents, prove_volume
from luksafe.ops.target import open_target
from luksafe.ops.workspace import Workspace
from luksafe.secret import SecretBytes

needs_cryptsetup = pytest.mark.skipif(shutil.which("cryptsetup") is None, reason="cryptsetup is not installed")


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "vault", state_folder=tmp_path / "state", host="nas")


def write(tmp_path: Path, data: bytes) -> str:
    path = tmp_path / "disk.img"
    path.write_bytes(data + bytes(1 << 20))
    return str(path)


def reencrypting(document: Json) -> None:
    document["config"]["requirements"] = {"mandatory": ["offline-reencrypt"]}


def decrypted(document: Json) -> None:
    segment = document["segments"]["0"]
    document["segments"]["0"] = {name: segment[name] for name in ("offset", "size")} | {"type": "linear"}
    document["digests"]["0"]["segments"] = []


def full(document: Json) -> None:
    slot = document["keyslots"]["0"]
    for number in range(1, 32):
        offset = int(slot["area"]["offset"]) + number * int(slot["area"]["size"])
        document["keyslots"][str(number)] = slot | {"area": slot["area"] | {"offset": str(offset)}}
    document["digests"]["0"]["keyslots"] = [str(number) for number in range(32)]


def test_by_passphrase_and_by_volume_key(workspace: Workspace, tmp_path: Path) -> None:
    with open_target(workspace, write(tmp_path, luks2_image())) as target:
        opened = prove_volume(target, passphrase=SecretBytes(PASSPHRASE))
        assert (opened.volume_key.reveal(), opened.keyslot, opened.digest_id) == (VOLUME_KEY, 0, 0)
        given = prove_volume(target, volume_key=SecretBytes(VOLUME_KEY))
        assert (given.keyslot, given.digest_id) == (None, 0)
        with pytest.raises(KeyRejected):
            prove_volume(target, passphrase=SecretBytes(b"wrong"))
        with pytest.raises(KeyRejected):
            prove_volume(target, volume_key=SecretBytes(bytes(64)))
        contents = make_contents(workspace, opened, (), with_header=True)
        assert (contents.host, contents.volume.uuid) == ("nas", UUID)
        assert contents.canary is not None
        assert contents.header_gz is not None


def test_not_during_reencryption_nor_of_a_decrypted_volume(workspace: Workspace, tmp_path: Path) -> None:
    with open_target(workspace, write(tmp_path, with_document(luks2_image(), reencrypting))) as target:
        with pytest.raises(Refused):
            prove_volume(target, passphrase=SecretBytes(PASSPHRASE))
        with pytest.raises(Refused):
            require_live(target)
    with (
        open_target(workspace, write(tmp_path, with_document(luks2_image(), decrypted))) as target,
        pytest.raises(Unsupported),
    ):
        prove_volume(target, volume_key=SecretBytes(VOLUME_KEY))


def test_free_keyslots_and_tokens(workspace: Workspace, tmp_path: Path) -> None:
    with open_target(workspace, write(tmp_path, luks2_image())) as target:
        live = require_live(target)
        assert (live.free_keyslot(), live.free_token(), live.fingerprint(1)) == (1, 0, "")
    with open_target(workspace, write(tmp_path, luks1_image())) as target:
        live = require_live(target)
        assert (live.free_keyslot(), live.free_token()) == (1, None)
    many = luks2_image(data_offset=16 << 20)
    with open_target(workspace, write(tmp_path, with_document(many, full))) as target, pytest.raises(Refused):
        require_live(target).free_keyslot()


@pytest.mark.parametrize("at", [0, 4096 + 30, 16384, 16384 + 4096 + 30])
def test_a_damaged_copy_is_not_given_to_cryptsetup(workspace: Workspace, tmp_path: Path, at: int) -> None:
    data = bytearray(luks2_image())
    data[at] ^= 1
    with open_target(workspace, write(tmp_path, bytes(data))) as target, pytest.raises(DamagedInput):
        require_live(target)


@needs_cryptsetup
def test_a_keyslot_that_cryptsetup_added_is_proven(workspace: Workspace, tmp_path: Path) -> None:
    path = write(tmp_path, luks2_image())
    with open_target(workspace, path) as target:
        live = require_live(target)
    key, new = SecretBytes(VOLUME_KEY), SecretBytes(b"\0 any bytes \n")
    add_keyslot(live, key, new, 5, ("--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000"))
    assert sorted(prove_keyslot(Path(path), 5, new, key).keyslots) == [0, 5]
    with pytest.raises(KeyRejected):
        prove_keyslot(Path(path), 5, SecretBytes(b"other"), key)
    with pytest.raises(DamagedInput, match="another volume key"):
        prove_keyslot(Path(path), 5, new, SecretBytes(bytes(64)))
    with pytest.raises(DamagedInput, match="not there"):
        prove_keyslot(Path(path), 6, new, key)
    with pytest.raises(LuksafeError, match="cryptsetup luksAddKey failed"):
        add_keyslot(live, key, new, 5)


@needs_cryptsetup
def test_cryptsetups_words_become_errors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotFound, match="cryptsetup luksDump failed"):
        run_cryptsetup(["luksDump", str(tmp_path / "absent")])
    assert UUID in run_cryptsetup(["luksUUID", write(tmp_path, luks2_image())])
    monkeypatch.setattr("luksafe.device.cryptsetup.find_program", lambda *_, **__: None)
    with pytest.raises(Unsupported, match="not installed"):
        run_cryptsetup(["--version"])


def test_a_backup_is_no_live_header(workspace: Workspace, tmp_path: Path) -> None:
    from luksafe.ops.backup import backup_device

    added = backup_device(workspace, write(tmp_path, luks2_image())).added
    with open_target(workspace, added.id) as target, pytest.raises(UsageError):
        require_live(target)


def test_an_interrupt_waits_until_cryptsetup_has_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in = tmp_path / "cryptsetup"
    stand_in.write_text(f"#!/bin/sh\nkill -INT $PPID\nsleep 0.5\ntouch {tmp_path}/ended\n")
    stand_in.chmod(0o700)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(programs, "ROOT_PATH", f"{tmp_path}:{programs.ROOT_PATH}")
    with pytest.raises(KeyboardInterrupt):
        run_cryptsetup(["luksAddKey"])
    assert (tmp_path / "ended").exists()

"""``luksafe repair`` as it is typed: plan, dangers, refusals, exit statuses."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from generators.headers import PASSPHRASE, luks1_image, luks2_image, with_binary

from luksafe.cli.app import App
from luksafe.cli.main import main

IMAGE = luks2_image() + bytes(1 << 20)
SIZE = 16384


class Typist:
    """Types luksafe commands in a folder with a damaged disk."""

    def __init__(self, folder: Path, capture: pytest.CaptureFixture[str]) -> None:
        self.folder, self._capture = folder, capture
        self.disk, self.key = folder / "disk.img", folder / "passphrase"
        self.key.write_bytes(PASSPHRASE)

    def put(self, data: bytes, *changes: tuple[int, bytes], name: str = "disk.img") -> Path:
        out = bytearray(data)
        for at, piece in changes:
            out[at : at + len(piece)] = piece
        (self.folder / name).write_bytes(out)
        return self.folder / name

    def __call__(self, *arguments: object) -> tuple[int, str, str]:
        App._current = None
        with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as leave:
            patch.setattr(sys, "argv", ["luksafe", "--vault", str(self.folder / "vault"), *map(str, arguments)])
            main()
        out, err = self._capture.readouterr()
        assert "Traceback" not in err
        return int(leave.value.code or 0), out, err

    def json(self, *arguments: object) -> tuple[int, Any]:
        status, out, _ = self("--json", *arguments)
        return status, json.loads(out)


@pytest.fixture
def typed(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Typist:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return Typist(tmp_path, capsys)


def test_a_healthy_disk(typed: Typist) -> None:
    typed.put(IMAGE)
    status, out, _ = typed("repair", typed.disk, "--yes")
    assert status == 0
    assert "nothing to repair" in out
    assert typed.json("repair", typed.disk)[1]["proposals"] == []


def test_plan_then_repair_then_undo(typed: Typist) -> None:
    damaged = typed.put(IMAGE, (0, bytes(6)), (SIZE, bytes(6))).read_bytes()
    status, out, _ = typed("repair", typed.disk, "--dry-run")
    assert status == 0
    assert "mend the primary header" in out
    assert typed.disk.read_bytes() == damaged
    status, out, err = typed("repair", typed.disk, "--yes")
    assert status == 0
    assert "PLAN: repair" in err
    assert f"luksafe undo {typed.disk}" in out
    assert typed.disk.read_bytes() == IMAGE
    assert typed("undo", typed.disk, "--yes")[0] == 0
    assert typed.disk.read_bytes() == damaged


def test_json_says_what_was_done(typed: Typist) -> None:
    typed.put(IMAGE, (0, bytes(4096)))
    status, result = typed.json("repair", typed.disk, "--yes")
    assert status == 0
    assert result["done"]
    assert result["valid"]
    assert result["proposals"][0]["evidence"] == "checksum"
    assert result["plan"]["phases"][0]["name"] == "primary header"


def test_without_a_terminal_and_without_yes_nothing_is_written(typed: Typist) -> None:
    damaged = typed.put(IMAGE, (0, bytes(6))).read_bytes()
    assert typed("repair", typed.disk, "--dry-run", "--json")[0] == 0
    assert typed.disk.read_bytes() == damaged


def test_split_evidence(typed: Typist) -> None:
    image = typed.put(with_binary(IMAGE, (1,), label="other")).read_bytes()
    status, result = typed.json("repair", typed.disk, "--yes")
    assert status == 14
    assert result["error"]["code"] == "split-evidence"
    assert [side["option"] for side in result["sides"]] == ["--take primary", "--take secondary"]
    assert typed.disk.read_bytes() == image
    assert typed("repair", typed.disk, "--yes", "--take", "secondary")[0] == 0
    assert typed.json("show", typed.disk)[1]["label"] == "other"


def test_a_guess_needs_a_flag_or_the_passphrase(typed: Typist) -> None:
    guess = ((0, b"\x55" * 512), (SIZE, bytes(SIZE)))
    typed.put(IMAGE, *guess)
    status, _, err = typed("repair", typed.disk, "--yes")
    assert status == 14
    assert "--allow-unproven" in err
    assert typed("repair", typed.disk, "--yes", "--allow-unproven")[0] == 0
    typed.put(IMAGE, *guess)
    wrong = typed.folder / "wrong"
    wrong.write_bytes(b"wrong")
    assert typed("repair", typed.disk, "--yes", "--key-file", wrong)[0] == 11
    assert typed("repair", typed.disk, "--yes", "--key-file", typed.key)[0] == 0


def test_what_cannot_be_repaired_says_what_helps(typed: Typist) -> None:
    typed.put(IMAGE, (0, bytes(2 * SIZE)))
    status, out, _ = typed("repair", typed.disk, "--yes")
    assert status == 10
    assert "luksafe restore" in out


def test_the_header_comes_from_another_image(typed: Typist) -> None:
    typed.put(IMAGE, (0, bytes(2 * SIZE)))
    other = typed.put(IMAGE, name="other.img")
    assert typed("repair", typed.disk, "--yes", "--from", other)[0] == 0
    assert typed.disk.read_bytes() == IMAGE
    assert typed("repair", typed.disk, "--yes", "--from", other, "--key-file", typed.key)[0] == 0


def test_a_keyslot_is_searched_with_its_passphrase_only(typed: Typist) -> None:
    typed.put(IMAGE)
    status, out, _ = typed("repair", typed.disk, "--keyslot", "0", "--key-file", typed.key)
    assert status == 0
    assert "nothing to repair" in out
    assert typed("repair", typed.disk, "--keyslot", "7", "--key-file", typed.key)[0] == 15


def test_a_signature_in_unused_bytes_is_shown_and_wiped(typed: Typist) -> None:
    # swap's own structures lie behind the 592 bytes of the LUKS1 header, where nothing is
    image = luks1_image() + bytes(1 << 20)
    typed.put(image, *swap_header())
    status, out, _ = typed("repair", typed.disk)
    assert status == 0
    assert "--wipe-signature swap" in out
    status, _, _ = typed("repair", typed.disk, "--yes", "--wipe-signature", "swap")
    assert status == 0
    assert typed.disk.read_bytes() == image
    assert typed("repair", typed.disk, "--yes", "--wipe-signature", "swap")[0] == 15


def test_the_header_is_mended_before_a_signature_is_wiped(typed: Typist) -> None:
    typed.put(luks1_image(), (2, b"W"), *swap_header())
    status, out, _ = typed("repair", typed.disk, "--yes", "--wipe-signature", "swap")
    assert status == 3
    assert "run the command again" in out
    assert typed("repair", typed.disk, "--yes", "--wipe-signature", "swap")[0] == 0
    assert typed.disk.read_bytes() == luks1_image()


def swap_header() -> list[tuple[int, bytes]]:
    """A swap area of 4096-byte pages: its magic lies in the gap behind a LUKS1 header."""
    info = (1).to_bytes(4, "little") + (255).to_bytes(4, "little") + bytes(4) + bytes(range(16))
    return [(1024, info), (4086, b"SWAPSPACE2")]


def test_a_signature_in_the_data_is_left_alone(typed: Typist) -> None:
    image = bytearray(IMAGE)
    at = len(image) // 65536 * 65536 - 65536
    image[at : at + 8] = (0xA92B4EFC).to_bytes(4, "little") + bytes(4)
    typed.put(bytes(image))
    assert typed("repair", typed.disk, "--yes", "--wipe-signature", "linux_raid_member")[0] in (14, 15)


def test_a_lost_uuid(typed: Typist) -> None:
    typed.put(luks1_image(), (168, bytes(36)))
    assert typed("repair", typed.disk, "--yes")[0] == 10
    uuid = "11111111-2222-3333-4444-555555555555"
    assert typed("repair", typed.disk, "--yes", "--uuid", uuid)[0] == 0


def test_a_packed_header_is_not_written_to(typed: Typist) -> None:
    import gzip

    packed = typed.folder / "header.gz"
    packed.write_bytes(gzip.compress(IMAGE))
    assert typed("repair", packed, "--yes")[0] == 2

"""What a message says to do next can be done as it is typed."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from luksafe.crypto.kdf_limits import KdfLimits
from luksafe.errors import Unsupported
from luksafe.ops.scan.checkpoint import Checkpoint, write_checkpoint
from tests.cli.conftest import World


def test_a_packet_passphrase_without_a_terminal_names_its_option(world: World, tmp_path: Path) -> None:
    pass_file = tmp_path / "pass"
    pass_file.write_bytes(b"x")
    ran = world.process("escrow", "save", world.image(), "--recipient", "passphrase", "--key-file", pass_file)
    assert ran.status == 2
    assert "--packet-key-file FILE" in ran.err


def test_memory_that_is_not_there_is_said_before_any_option() -> None:
    with pytest.raises(Unsupported, match="are free"):
        KdfLimits(available_memory_kib=1 << 20).check_argon2(time=1 << 20, memory_kib=(1 << 32) - 1)


def test_a_sparse_file_is_searched_without_its_holes(world: World) -> None:
    image = world.image()
    os.truncate(image, 4 << 40)
    ran = world.run("scan", image, "--once")
    assert "LUKS2" in ran.out or "luks2" in ran.out


def test_the_state_of_a_scan_is_private(tmp_path: Path) -> None:
    state = tmp_path / "state"
    write_checkpoint(state, Checkpoint("disk", 1))
    assert stat.S_IMODE(state.stat().st_mode) == 0o600

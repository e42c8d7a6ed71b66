"""What the pages must not leave out: what deleting does not reach, and what stands between a restore and a start."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("words", ["unlink", "snapshots", "flash memory", "luksErase` is no end", "--undo"])
def test_security_says_what_forget_and_erase_do_not_reach(words: str) -> None:
    assert words in " ".join((ROOT / "SECURITY.md").read_text("utf-8").split())


@pytest.mark.parametrize("words", ["KEYMAP=y", "header=/path", "tpm2-device=auto", "udevadm settle", "initramfs"])
def test_a_page_leads_from_a_restore_to_a_start(words: str) -> None:
    assert words in (ROOT / "docs" / "how-to" / "boot-after-a-restore.md").read_text("utf-8")


def test_it_is_found() -> None:
    for page in ("README.md", "docs/how-to/restore-a-header.md"):
        assert "boot-after-a-restore.md" in (ROOT / page).read_text("utf-8")

"""The pages for disasters, and that of escrow, show what luksafe really says: their commands are run again."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import os
import re
import shutil
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
HOW_TO = ROOT / "docs" / "how-to"
PAGES = [path.name for path in sorted(HOW_TO.glob("*.md")) if "```console\n$ luksafe" in path.read_text("utf-8")]
REPLAYED = [name for name in PAGES if "<!-- before: " in (HOW_TO / name).read_text("utf-8")]
DISASTERS = {
    *("new-partition-table.md", "formatted-by-mistake.md", "lvm-or-raid-on-it.md", "passphrase-does-not-work.md"),
    *("lost-partition-table.md", "reencryption-interrupted.md", "rescue.md"),
}
ESCROW = "escrow.md"
TOOLS = {"sgdisk", "mkfs.vfat", "losetup", "pvcreate", "cryptsetup", "openssl"}
VARIES = (
    (r"header-before-\S+", "COPY"),
    (r"\d{4}-\d\d-\d\d(T[\d:]{6,8}Z)?", "DATE"),
    (r"\b[0-9a-f]{32}\b", "BACKUP"),
    (r"\b(?!b6055f37a2b8)[0-9a-f]{12}\b", "BACKUP"),
    (r"\b(\d{6})-[0-9a-f]{8}\b", r"\1-ENTRY"),
    (r"/dev/loop\d+", "LOOP"),
    (r"[\d.]+ (s|MiB/s)\b", r"N \1"),
    (r"rescue/[0-9a-f]{16}", "rescue/DEVICE"),
    (r"[\d.]+ KiB each", "N KiB each"),
    (r"\b[0-9a-f]{16}\b", "PACKET"),
    (r"\d+ bytes each", "N bytes each"),
    (r"\bset (that begins )?'?[a-z]+ [a-z]+\b", "set WORDS"),
    (r"sheet [0-9A-F]{4}-[0-9A-F]{4}, \d+ pages?", "sheet ID"),
    (r"-- Enter shows more --", ""),
    (r"\s+", " "),
)
"""What is another each time. Where lines break and screens are full follows from it: all white space counts as one."""


def settled(page: str) -> str:
    for pattern, word in VARIES:
        page = re.sub(pattern, word, page)
    return page


def replay_module() -> ModuleType:
    loader = importlib.machinery.SourceFileLoader("replay", str(ROOT / "docs" / "replay"))
    spec = importlib.util.spec_from_loader("replay", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def test_every_disaster_has_its_page_and_the_readme_leads_there():
    assert set(REPLAYED) == {*DISASTERS, ESCROW}
    readme = (ROOT / "README.md").read_text("utf-8")
    assert [name for name in REPLAYED if f"docs/how-to/{name}" not in readme] == []


PROMPT = re.compile(r"(?:leaves|leave|ways|to go on|more --|assphrase [^\n]*):? ?[^\n:]*$")
"""The end of a screen: here one is asked, and what is above is read."""


def test_the_screens_of_rescue_fit_a_terminal_of_80_by_25():
    sessions = re.findall(
        r"(?s)```console\n\$ luksafe rescue disk.img\n(.*?)```", (HOW_TO / "rescue.md").read_text("utf-8")
    )
    assert len(sessions) >= 5
    for session in sessions:
        assert "The data can be read." in session
        own = [line for line in session.splitlines() if "…/" not in line]  # names of files may be longer than a line
        assert max(map(len, own)) <= 80
        room = 0
        for line in session.splitlines():
            room = 0 if PROMPT.search(line) or set(line) == {"-"} else room + 1
            assert room < 25, line


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted({*DISASTERS, ESCROW}))
def test_its_commands_say_what_it_shows(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (HOW_TO / name).read_text("utf-8")
    needed = [tool for tool in TOOLS if any(tool in line for line in re.findall(r"<!-- before: .*|(?m:^\$ .*)", page))]
    missing = [tool for tool in needed if shutil.which(tool, path=os.environ["PATH"] + ":/usr/sbin:/sbin") is None]
    if missing or ("losetup" in needed and (os.geteuid() != 0 or not Path("/dev/loop-control").exists())):
        pytest.skip(f"needs {', '.join(needed)}, and root for loop devices")
    monkeypatch.chdir(tmp_path)
    try:
        assert settled(replay_module().replay(page, tmp_path)) == settled(page), f"run: docs/replay --write {name}"
    finally:
        detach_loops(tmp_path)


def detach_loops(folder: Path) -> None:
    """Loop devices that a page left are taken away however it ends."""
    for image in folder.glob("*.img") if shutil.which("losetup") else ():
        listed = subprocess.run(["losetup", "-n", "-O", "NAME", "-j", image], capture_output=True, text=True)
        for node in listed.stdout.split():
            subprocess.run(["losetup", "--detach", node])

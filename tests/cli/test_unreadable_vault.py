"""A vault that cannot be read is in the way only of what needs it; the rest says so in one line and goes on."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from cli.conftest import UNPRIVILEGED, Ran, World
from generators.headers import UUID, luks2_image

from luksafe.cli import app
from luksafe.cli.main import main
from luksafe.vault.marker import MARKER, Marker
from luksafe.vault.record import encode

WHOLE = luks2_image() + bytes(1 << 20)
WARNING = "warning: going on without the vault: "
SHOWN = {
    "show disk.img": 0,
    "diff disk.img header.img": 0,
    "extract disk.img /dev/null --key-file passphrase": 0,
}
"""What looks at no vault at all."""
HELPED = {
    "diagnose disk.img": 0,
    "diagnose broken.img": 10,
    "scan disk.img": 0,
    "prove disk.img --key-file passphrase": 0,
    "restore header.img broken.img --dry-run": 0,
    "repair broken.img --dry-run": 0,
    "undo disk.img --list": 0,
}
"""What a vault helps, and the status without."""
NEEDING = (f"restore {UUID} broken.img --dry-run", "list", "check disk.img", "restore header.img broken.img --yes")


@pytest.fixture(params=["configuration", "future", "permission"])
def unreadable(request: pytest.FixtureRequest, world: World) -> Callable[[str], Ran]:
    """Runs luksafe with a vault that holds a backup and cannot be read, for a reason that the parameter names."""
    world.image("disk.img", WHOLE)
    world.image("header.img", luks2_image())
    world.image("broken.img", bytes(4096) + WHOLE[4096:])
    assert world.run("backup", "disk.img").status == 0
    prefix: tuple[str, ...] = ()
    if request.param == "configuration":
        (world.vault / "config.toml").write_text("no = [")
    elif request.param == "future":
        (world.vault / MARKER).write_bytes(encode(Marker(format=2, store="0a" * 16)))
    elif os.geteuid() == 0:
        if not shutil.which("setpriv"):
            pytest.skip("setpriv is not installed")
        for path in (world.folder, *world.folder.parents[:-2]):
            if not path.stat().st_mode & 0o005:
                path.chmod(path.stat().st_mode | 0o055)
        prefix = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    else:
        world.vault.chmod(0)
    return lambda command: world.process(*command.split(), prefix=prefix)


def test_what_a_vault_only_helps_goes_on_with_one_warning(unreadable: Callable[[str], Ran]) -> None:
    for command, status in HELPED.items():
        ran = unreadable(command)
        assert (command, ran.status, ran.err.count(WARNING)) == (command, status, 1), ran.err
        assert ran.err.count("\n") == 1


def test_what_asks_no_vault_says_nothing_of_it(unreadable: Callable[[str], Ran]) -> None:
    for command, status in SHOWN.items():
        ran = unreadable(command)
        assert (command, ran.status, WARNING in ran.err) == (command, status, False), ran.err


def test_what_needs_the_vault_fails_and_writes_nothing(unreadable: Callable[[str], Ran], world: World) -> None:
    before = Path("broken.img").read_bytes()
    for command in NEEDING:
        ran = unreadable(command)
        assert ran.status in (1, 2, 13), (command, ran)
        assert "next: " in ran.err
    assert Path("broken.img").read_bytes() == before


def test_a_vault_in_a_folder_that_may_not_be_entered_is_not_called_absent(world: World) -> None:
    world.vault = world.folder / "closed" / "vault"
    assert world.run("backup", world.image("disk.img", WHOLE)).status == 0
    world.vault.parent.chmod(0)
    try:
        ran = world.process("list", prefix=UNPRIVILEGED)
        helped = world.process("diagnose", "disk.img", prefix=UNPRIVILEGED)
        kept = world.process("backup", "disk.img", prefix=UNPRIVILEGED)
    finally:
        world.vault.parent.chmod(0o700)
    assert (ran.status, ran.out) == (1, "")
    assert f"{world.vault} may not be used by this user" in ran.err
    assert (helped.status, helped.err.count(WARNING)) == (0, 1)
    assert kept.status == 1


def test_a_user_without_backups_hears_of_the_vault_of_root(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(app, "ROOT_VAULT", world.folder / "of-root")
    monkeypatch.setenv("XDG_DATA_HOME", str(world.folder))
    hint = "sudo luksafe list"
    for is_there in (False, True):
        with pytest.raises(SystemExit):
            main(["list"])
        assert (hint in capsys.readouterr().out) is is_there
        app.ROOT_VAULT.mkdir(exist_ok=True)
    assert hint not in world.run("list").out

"""Root believes no folder of another user, and what luksafe makes is for its user alone."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from luksafe.errors import Refused
from luksafe.ops.own_folder import make_private_folder, require_own
from luksafe.ops.workspace import Workspace

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="what is for root")


@as_root
@pytest.mark.parametrize("what", ["", "config.toml"])
def test_root_refuses_a_vault_of_another_user(tmp_path: Path, what: str) -> None:
    vault = tmp_path / "vault"
    Workspace(vault).open_vault(create=True).close()
    (vault / "config.toml").write_text("copies = 2\n")
    os.chown(vault / what, 1234, -1)
    with pytest.raises(Refused, match="belongs to user 1234") as refused:
        Workspace(vault).open_vault()
    assert "--allow-foreign-vault" in refused.value.hint
    Workspace(vault, allow_foreign=True).open_vault().close()
    told: list[str] = []
    with Workspace(vault, warn=told.append).vault_if_readable() as opened:
        assert opened is None
    assert "belongs to user 1234" in told[0]


@as_root
def test_root_refuses_a_state_folder_of_another_user(tmp_path: Path) -> None:
    os.chown(tmp_path, 1234, -1)
    with pytest.raises(Refused):
        Workspace(tmp_path / "vault", state_folder=tmp_path).require_own_state()


def test_another_user_is_not_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    require_own(tmp_path)


def test_every_folder_that_is_made_is_private(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        make_private_folder(tmp_path / "a" / "b" / "c")
        Workspace(tmp_path / "x" / "y" / "vault").open_vault(create=True).close()
    finally:
        os.umask(before)
    for made in ("a", "a/b", "a/b/c", "x", "x/y", "x/y/vault"):
        assert stat.S_IMODE((tmp_path / made).stat().st_mode) == 0o700, made
    make_private_folder(tmp_path / "a")


def test_no_folder_is_made_otherwise() -> None:
    import luksafe

    for file in Path(luksafe.__file__).parent.rglob("*.py"):
        assert "parents=True" not in file.read_text(), f"{file}: parents would get the usual mode"

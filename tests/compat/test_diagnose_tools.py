"""Real tools let loose on healthy volumes: the verdict by what they changed, the culprit by its name."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from compat.accidents import ACCIDENTS, FORMAT, OPTIONS, healthy_volume, judge, look, opens_after_repair
from compat.probe.probe_images import ENVIRONMENT, run

from luksafe.ops.backup import backup_device
from luksafe.ops.diagnosis.facts import gather
from luksafe.ops.diagnosis.judge import diagnose
from luksafe.ops.target import open_target
from luksafe.ops.workspace import Workspace

FORMATS = ("luks1", "luks2")
PAIRS = [(accident.id, luks) for accident in ACCIDENTS for luks in FORMATS]
Healthy = Callable[[str], Callable[[int], bytes]]


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Healthy:
    folder = tmp_path_factory.mktemp("healthy")
    return cache(lambda luks: healthy_volume(luks, folder))


@pytest.mark.slow
@pytest.mark.parametrize(("accident_id", "luks"), PAIRS)
def test_accident(
    accident_id: str,
    luks: str,
    healthy: Healthy,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    if shutil.which("cryptsetup", path=ENVIRONMENT["PATH"]) is None:
        pytest.skip("cryptsetup is not installed")
    accident = next(a for a in ACCIDENTS if a.id == accident_id)
    before = healthy(luks)(accident.size)
    path = tmp_path / "disk.img"
    path.write_bytes(before)
    accident.do(path)
    outcome = judge(accident.id, accident.culprit, luks, before, path)
    record_property("accident", outcome.row())
    assert outcome.is_right, outcome
    assert outcome.is_named, outcome
    if outcome.verdict == "repairable":
        assert opens_after_repair(path, tmp_path), outcome


@pytest.mark.slow
@pytest.mark.parametrize(("old", "new"), [("luks1", "luks2"), ("luks2", "luks1"), ("luks2", "luks2")])
def test_formatted_again(old: str, new: str, healthy: Healthy, tmp_path: Path) -> None:
    """The new header is whole: only the vault can tell that this device held another volume."""
    path = tmp_path / "disk.img"
    path.write_bytes(healthy(old)(0))
    workspace = Workspace(tmp_path / "vault", state_folder=tmp_path / "state")
    backup_device(workspace, str(path))
    run((*FORMAT, "--type", new, *OPTIONS[new], "IMG", "-"), path, "another")
    assert look(path, tmp_path).verdict.value == "healthy"
    with open_target(workspace, str(path)) as target:
        diagnosis = diagnose(gather(workspace, target))
    assert diagnosis.verdict.value == "needs-backup"
    assert "formatted-again" in {f.code for f in diagnosis.findings}
    backup_device(workspace, str(path))
    with open_target(workspace, str(path)) as target:
        assert diagnose(gather(workspace, target)).verdict.value == "healthy"

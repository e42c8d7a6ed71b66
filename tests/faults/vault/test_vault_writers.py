"""Several processes at one vault at the same time, without a lock."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from vault_samples import NOW, UUID, image_of, make_vault, open_vault, record_of

from luksafe.vault.report import State

ROOT = Path(__file__).resolve().parents[3]

PROGRAM = """
import os, sys
from pathlib import Path
from vault_samples import NOW, UUID, image_of, record_of
from luksafe.errors import LuksafeError
from luksafe.vault.record import Proof
from luksafe.vault.vault import Vault

home, task, me = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
sys.stdin.readline()  # all start together
with Vault.open(home, random=os.urandom, create=True) as vault:
    for number in range(8):
        if task == "add":
            added = vault.add(record_of(host=me, created=f"{me} {number}"), image_of(f"same {number}"), now=NOW)
            assert added.problems == [], added.problems
            vault.add(record_of(host=me), image_of(f"{me} {number}"), now=NOW)
            vault.add_proof(Proof(id=added.id, when="2026-11-24T06:44:00Z", method=f"{me}"))
        if task == "sync":
            for report in vault.sync(now=NOW).stores:
                assert report.set_aside == [], report
        if task == "forget":
            for backup in vault.backups():
                if backup.record.label == "doomed":
                    vault.forget(backup.id, me, now=NOW)
"""


def run_together(folder: Path, *tasks: str) -> None:
    path = os.pathsep.join([str(ROOT / "src"), str(ROOT / "tests")])
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, folder / "home", task, f"{task}{number}"],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": path},
        )
        for number, task in enumerate(tasks)
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        errors = process.communicate()[1]
        assert process.returncode == 0, errors


def test_two_that_add_the_same_and_one_that_syncs(tmp_path: Path) -> None:
    make_vault(tmp_path, "usb").close()
    run_together(tmp_path, "add", "add", "sync")
    with open_vault(tmp_path) as vault:
        assert len(vault.backups()) == 8 + 2 * 8
        for report in vault.sync(now=NOW).stores:
            assert report.problems == []
        for report in vault.check(now=NOW).stores:
            assert set(report.files.values()) == {State.INTACT}
            assert len(report.intact) == 24
        for number in range(8):
            added = vault.add(record_of(), image_of(f"same {number}"), now=NOW)
            assert not added.new
            assert len(vault.proofs(added.id)) == 2
        assert not list(tmp_path.rglob(".new-*"))
        assert not list(tmp_path.rglob("*.damaged-*"))


def test_the_home_is_made_once_by_two(tmp_path: Path) -> None:
    run_together(tmp_path, "add", "add")
    with open_vault(tmp_path) as vault:
        assert vault.home.damage == ""
        assert len(vault.backups()) == 24


@pytest.mark.parametrize("others", [["sync"], ["sync", "sync"], ["add", "sync"]])
def test_what_is_forgotten_while_others_work_stays_forgotten(tmp_path: Path, others: list[str]) -> None:
    with make_vault(tmp_path, "usb", "nas") as vault:
        doomed = [
            vault.add(record_of(label="doomed"), image_of(f"doomed {number}"), now=NOW).id for number in range(20)
        ]
        for backup_id in doomed[::2]:
            (tmp_path / "nas" / UUID / f"{backup_id}.hdr.gz").unlink()  # so that sync has work
    run_together(tmp_path, "forget", *others)
    with open_vault(tmp_path) as vault:
        assert not {backup.id for backup in vault.backups()} & set(doomed)
        vault.sync(now=NOW)
        for store in ("home", "usb", "nas"):
            left = {path.name for path in (tmp_path / store / UUID).iterdir()}
            for backup_id in doomed:
                names = {name for name in left if backup_id in name}
                assert names == {f"{backup_id}.json", f"{backup_id}.forgotten.json"}

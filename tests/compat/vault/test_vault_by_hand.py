"""The vault's files without luksafe: the commands of spec/vault.md, section 10, and plain cryptsetup."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from vault_samples import NOW, make_vault, record_of


def shell(command: str, folder: Path) -> str:
    """What a command says; it must succeed."""
    run = subprocess.run(["bash", "-euo", "pipefail", "-c", command], cwd=folder, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return run.stdout


@pytest.fixture
def device(tmp_path: Path) -> Path:
    if not shutil.which("cryptsetup"):
        pytest.skip("cryptsetup is not installed")
    device = tmp_path / "device.img"
    with device.open("wb") as file:
        file.truncate(20 << 20)
    (tmp_path / "key").write_bytes(b"secret")
    cheap = ["--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000"]
    command = ["cryptsetup", "luksFormat", "-q", *cheap, device, tmp_path / "key"]
    subprocess.run(command, check=True, capture_output=True)
    return device


def test_stock_tools_verify_and_open_a_backup(tmp_path: Path, device: Path) -> None:
    uuid = shell("cryptsetup luksUUID device.img", tmp_path).strip()
    image = device.read_bytes()[: 16 << 20]
    with make_vault(tmp_path) as vault:
        backup_id = vault.add(record_of(uuid=uuid, kept=[(0, 16 << 20)], whole=True), image, now=NOW).id
    folder = tmp_path / "home" / uuid
    said = shell(f"head -n -2 {backup_id}.json | sha256sum", folder).split()[0]
    assert f'"sha256": "{said}"' in (folder / f"{backup_id}.json").read_text()
    assert shell(f"gunzip -c {backup_id}.hdr.gz | sha256sum", folder).startswith(backup_id)
    shell(f"gunzip -c {backup_id}.hdr.gz > header.img", folder)
    shell("head -c 16M /dev/zero | dd of=device.img conv=notrunc status=none", tmp_path)
    opened = f"cryptsetup open --test-passphrase --header {folder}/header.img --key-file key device.img"
    shell(opened, tmp_path)
    shell(f"cryptsetup luksHeaderRestore -q --header-backup-file {folder}/header.img device.img", tmp_path)
    shell("cryptsetup open --test-passphrase --key-file key device.img", tmp_path)

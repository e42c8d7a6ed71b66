from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from faults.vault.failing_folder import failing_folder

from luksafe.device import location
from luksafe.device.location import is_local
from luksafe.device.mounts import Mount


def test_a_disk_and_memory_are_local_and_what_fuse_shows_is_not(tmp_path: Path) -> None:
    (tmp_path / "backing").mkdir()
    (tmp_path / "faults").write_text("")
    assert is_local(tmp_path)
    assert is_local(tmp_path / "not" / "yet" / "made")
    assert is_local("/dev/shm")
    with failing_folder(tmp_path / "backing", tmp_path / "mounted", tmp_path / "faults"):
        assert not is_local(tmp_path / "mounted")
        assert not is_local(tmp_path / "mounted" / "not" / "made")


def test_a_loop_mounted_disk_is_local(tmp_path: Path, loop_device: Callable[..., str]) -> None:
    image = tmp_path / "disk.img"
    image.write_bytes(bytes(1 << 20))
    subprocess.run(["mkfs.ext4", "-q", image], check=True, capture_output=True)
    (tmp_path / "usb").mkdir()
    mounted = subprocess.run(["mount", loop_device(image), tmp_path / "usb"], capture_output=True)
    if mounted.returncode:
        pytest.skip("cannot mount here")
    try:
        assert is_local(tmp_path / "usb" / "luksafe")
    finally:
        subprocess.run(["umount", tmp_path / "usb"], check=True)


@pytest.mark.parametrize(
    ("filesystem", "local"),
    [("nfs4", False), ("cifs", False), ("fuse.sshfs", False), ("9p", False), ("virtiofs", False), ("zfs", True)],
)
def test_a_filesystem_without_a_device_is_judged_by_its_kind(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, filesystem: str, local: bool
) -> None:
    mount = Mount((0, 99), str(tmp_path), filesystem, "server:/export", False)
    monkeypatch.setattr(location, "_filesystem_devices", lambda path: [])
    monkeypatch.setattr(location, "mount_holding", lambda path: mount)
    assert is_local(tmp_path) is local

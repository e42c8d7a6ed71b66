"""Every LUKS volume of the machine, each once."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from luksafe.device.discover import FoundDevice, find_luks_devices

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="reading block devices needs root"),
    pytest.mark.skipif(shutil.which("cryptsetup") is None, reason="cryptsetup is not installed"),
]
UUIDS = [f"0c0ffee0-0000-0000-0000-00000000000{n}" for n in range(6)]


def blank(path: Path, size: int = 24 << 20) -> Path:
    with path.open("wb") as out:
        out.truncate(size)
    return path


def luks_format(target: Path | str, uuid: str, *options: str) -> None:
    command = "cryptsetup luksFormat -q --pbkdf pbkdf2 --pbkdf-force-iterations 1000 --key-file - --uuid"
    subprocess.run([*command.split(), uuid, *options, str(target)], input=b"x", check=True)


def ours(found: list[FoundDevice], *paths: str) -> list[FoundDevice]:
    """Those on the given devices; other tests may have devices of their own at the same time."""
    return sorted((device for device in found if device.path in paths), key=lambda device: paths.index(device.path))


def test_both_formats_and_a_lost_primary(tmp_path: Path, loop_device: Callable[..., str]) -> None:
    images = [blank(tmp_path / f"{n}.img") for n in range(4)]
    luks_format(images[0], UUIDS[0], "--type", "luks1")
    luks_format(images[1], UUIDS[1], "--type", "luks2")
    luks_format(images[2], UUIDS[2], "--type", "luks2")
    with images[2].open("r+b") as out:
        out.write(bytes(4096))
    devices = [loop_device(image) for image in images]
    before = [image.read_bytes() for image in images]
    assert ours(find_luks_devices(), *devices) == [
        FoundDevice(devices[0], "luks1", UUIDS[0], True),
        FoundDevice(devices[1], "luks2", UUIDS[1], True),
        FoundDevice(devices[2], "luks2", UUIDS[2], False),
    ]
    assert [image.read_bytes() for image in images] == before


def test_partitions(tmp_path: Path, partitioned_disk: Callable[[Path, str], str]) -> None:
    image = blank(tmp_path / "disk.img", 64 << 20)
    disk = partitioned_disk(image, "label: gpt\nsize=20M\nsize=20M\n")
    luks_format(f"{disk}p2", UUIDS[0], "--type", "luks2")
    assert ours(find_luks_devices(), disk, f"{disk}p1", f"{disk}p2") == [
        FoundDevice(f"{disk}p2", "luks2", UUIDS[0], True)
    ]
    luks_format(f"{disk}p1", UUIDS[1], "--type", "luks2")  # it begins where a second header copy of the disk could be
    assert ours(find_luks_devices(), disk, f"{disk}p1", f"{disk}p2") == [
        FoundDevice(f"{disk}p1", "luks2", UUIDS[1], True),
        FoundDevice(f"{disk}p2", "luks2", UUIDS[0], True),
    ]


def test_a_device_shown_by_a_second_one_counts_once(tmp_path: Path, loop_device: Callable[..., str]) -> None:
    image = blank(tmp_path / "disk.img")
    luks_format(image, UUIDS[0], "--type", "luks1")
    below = loop_device(image)
    above = loop_device(Path(below))
    assert [device.path for device in ours(find_luks_devices(), below, above)] == [above]


def test_detached_headers_of_crypttab(tmp_path: Path, loop_device: Callable[..., str]) -> None:
    data = loop_device(blank(tmp_path / "data.img"))
    header, gone = blank(tmp_path / "header.img"), tmp_path / "gone.img"
    luks_format(data, UUIDS[0], "--type", "luks2", "--header", str(header))
    on_device = loop_device(header)
    crypttab = tmp_path / "crypttab"
    crypttab.write_text(
        f"one {data} none luks,header={header}\n"
        f"two {data} none header={gone}\n"
        f"three /dev/none none header={on_device}\n"
        f"four {data} none header=/h.img:LABEL=usb\n"
        f"five {data} none luks\n"
    )
    found = {device.name: device for device in find_luks_devices(crypttab) if device.name}
    assert found["one"] == FoundDevice(data, "luks2", UUIDS[0], True, str(header), "one")
    assert "gone.img" in found["two"].problem
    assert found["three"].format == "luks2"
    assert found["three"].problem == "there is no device /dev/none"
    assert "LABEL=usb" in found["four"].problem
    assert "five" not in found
    # the device with the header is part of a pair, no volume of its own
    assert not [device for device in find_luks_devices(crypttab) if device.path == on_device]
    assert find_luks_devices(tmp_path / "no crypttab")


def test_a_device_that_cannot_be_read_is_named(tmp_path: Path, loop_device: Callable[..., str]) -> None:
    image = blank(tmp_path / "failing.img")
    device = loop_device(image)
    os.truncate(image, 0)
    [found] = ours(find_luks_devices(), device)
    assert found.format == "none"
    assert found.problem == "its start cannot be read"

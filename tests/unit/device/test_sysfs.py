"""Keys and layers of disks that this machine does not have, from a sysfs that was written down."""

from __future__ import annotations

from pathlib import Path

import pytest

from luksafe.device import discover
from luksafe.device.discover import FoundDevice
from luksafe.device.identity import _target_key
from luksafe.device.stack import layers_above, layers_below
from luksafe.device.sysfs import BlockNode, find_node, node_of


def node(folder: Path, **attributes: str) -> BlockNode:
    """A device; ``dm__name="x"`` becomes the file ``dm/name``."""
    for name, value in attributes.items():
        at = folder / name.replace("__", "/")
        at.parent.mkdir(parents=True, exist_ok=True)
        at.write_text(value + "\n")
    return BlockNode(folder)


def put_on(upper: BlockNode, lower: BlockNode) -> None:
    for folder, link, to in ((lower.folder, "holders", upper), (upper.folder, "slaves", lower)):
        (folder / link).mkdir(parents=True, exist_ok=True)
        (folder / link / to.folder.name).symlink_to(to.folder)


KEYS = {
    "dm:LVM-abc": {"dm__uuid": "LVM-abc", "device__wwid": "naa.5"},
    "file:/a.img": {"loop__backing_file": "/a.img", "loop__offset": "0"},
    "wwn:naa.5": {"device__wwid": "naa.5", "device__serial": "S1"},
    "wwn:eui.7": {"wwid": "eui.7", "serial": "S1"},
    "serial:Disk:S1": {"device__model": "Disk  ", "device__serial": "S1"},
    "serial::virt": {"serial": "virt"},
}


@pytest.mark.parametrize("key", KEYS)
def test_the_key_of_a_disk(key: str, tmp_path: Path) -> None:
    disk = node(tmp_path / "sdx", **KEYS[key])
    assert _target_key(disk, {}) == key
    part = node(tmp_path / "sdx" / "sdx1", partition="1", start="2048")
    assert _target_key(part, {}) == f"{key}+1048576"
    assert _target_key(part, {"ID_PART_ENTRY_UUID": "1-2"}) == "partuuid:1-2"


def test_a_raid_and_a_disk_without_any_name(tmp_path: Path) -> None:
    assert _target_key(node(tmp_path / "md0", md__level="raid1"), {"MD_UUID": "a:b"}) == "md:a:b"
    assert _target_key(node(tmp_path / "vdb", size="8"), {}).startswith("slot:")


def test_suspended_is_what_stands_on_something_suspended(tmp_path: Path) -> None:
    disk, lower, upper = node(tmp_path / "sda"), node(tmp_path / "dm-0", dm__suspended="1"), node(tmp_path / "dm-1")
    put_on(lower, disk)
    put_on(upper, lower)
    part = node(tmp_path / "dm-1" / "dm-1p1", partition="1")
    assert [each.is_suspended for each in (disk, lower, upper, part)] == [False, True, True, True]


def test_layers_in_both_directions(tmp_path: Path) -> None:
    disk = node(tmp_path / "sda")
    part = node(tmp_path / "sda" / "sda1", partition="1")
    multipath, inner = node(tmp_path / "dm-0"), node(tmp_path / "dm-1")
    put_on(multipath, disk)
    put_on(inner, multipath)
    assert layers_above(part) == layers_above(disk) == {multipath, inner}
    assert layers_below(inner) == [multipath, disk]
    assert layers_below(part) == [disk]


def test_two_paths_to_one_disk_count_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = {"size": "8", "dev": "8:0"}
    paths = [node(tmp_path / name, device__wwid="naa.5", **sizes) for name in ("sda", "sdb")]
    clone = node(tmp_path / "sdc", device__wwid="naa.6", **sizes)
    monkeypatch.setattr(discover, "all_nodes", lambda: [*paths, clone])
    monkeypatch.setattr(discover, "_look", lambda node: FoundDevice(node.path, "luks2", "same-uuid", True))
    assert [found.path for found in discover._on_devices()] == ["/dev/sda", "/dev/sdc"]


def test_names_and_missing_devices(tmp_path: Path) -> None:
    assert node(tmp_path / "cciss!c0d0").path == "/dev/cciss/c0d0"
    assert node(tmp_path / "empty").number == (0, 0)
    assert node(tmp_path / "odd", size="many").size_bytes == 0
    assert find_node(4095, 9) is None
    assert node_of("/dev/null") is None
    assert node_of("\0") is None
    assert node_of(tmp_path / "none") is None

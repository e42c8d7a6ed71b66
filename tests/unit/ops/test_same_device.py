"""Which device it is: what differs, what only one device has, and what tells nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from luksafe.device.identity import DeviceFacts, PartitionFacts
from luksafe.ops.same_device import compare_device

PART = PartitionFacts(2, 1 << 20, 1 << 30, "/dev/sdb", uuid="1111-2222")
DISK = DeviceFacts("/dev/sdb", "block", 1 << 30, 8, 16, "serial:DISK:S1", serial="S1", wwn="0x5000")
LOGICAL = DeviceFacts("/dev/vg/lv", "block", 1 << 30, 253, 0, "dm:LVM-abc")
FILE = DeviceFacts("/srv/disk.img", "file", 1 << 30, 8, 1, "file:/srv/disk.img")
SIZE = {"size_bytes": 1 << 30}

SAME = {
    "serial": (DISK, {"serial": "S1"}),
    "wwn": (DISK, {"wwn": "0x5000"}),
    "partuuid": (replace(DISK, serial="", wwn="", partition=PART), {"partuuid": "1111-2222"}),
    "target_key": (LOGICAL, {"target_key": "dm:LVM-abc"}),
}
OTHER = {
    "serial": (DISK, {"serial": "S2", "wwn": "0x5000"}),
    "partuuid": (replace(DISK, partition=PART), {"serial": "S1", "partuuid": "3333-4444"}),
    "bytes": (DISK, {"serial": "S1", "size_bytes": 1 << 29}),
}
UNKNOWN = {
    "file": (FILE, {"target_key": "file:/srv/disk.img", "path": "/srv/disk.img"}),
    "nothing recorded": (DISK, {}),
    "nothing here": (
        replace(DISK, serial="", wwn="", target_key="slot:pci0"),
        {"serial": "S1", "target_key": "slot:pci0"},
    ),
    "without udev": (replace(DISK, serial="", wwn="", target_key="partuuid:9"), {"target_key": "serial:x+1048576"}),
}


@pytest.mark.parametrize("name", SAME)
def test_the_same(name: str) -> None:
    facts, recorded = SAME[name]
    match = compare_device("packet 1", SIZE | recorded, facts)
    assert (match.is_same, match.is_other, name in match.text) == (True, False, True)


@pytest.mark.parametrize("name", OTHER)
def test_another(name: str) -> None:
    facts, recorded = OTHER[name]
    match = compare_device("packet 1", SIZE | recorded, facts)
    assert (match.is_same, match.is_other, name in match.text) == (False, True, True)


@pytest.mark.parametrize("name", UNKNOWN)
def test_nothing_to_compare(name: str) -> None:
    facts, recorded = UNKNOWN[name]
    match = compare_device("packet 1", SIZE | recorded, facts)
    assert (match.is_same, match.is_other) == (False, False)
    assert match.text.startswith(f"nothing tells {facts.path} from another device of {1 << 30} bytes")

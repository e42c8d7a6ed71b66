"""The virtual machine itself: its kernel has dm-crypt, and luksafe can be imported in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.vm


def test_dm_crypt_and_luksafe_are_there(vm: Any, vm_disk: Path) -> None:
    vm_disk.write_bytes(b"LUKS" + bytes((64 << 20) - 4))
    got = vm.python(
        "import json, luksafe.device.source as s, cryptography, msgspec\n"
        "with s.open_source('/dev/vda') as r: print(json.dumps([r.size_bytes, r.read_at(0, 4).decode()]))",
        before="modprobe dm-crypt; dmsetup targets | grep crypt",
        disks=[vm_disk],
    )
    assert got == [64 << 20, "LUKS"]

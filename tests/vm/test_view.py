"""Volumes that the kernel wrote, read without it; a disk with unreadable sectors."""

from __future__ import annotations

import hashlib
import json
import random
from pathlib import Path
from typing import Any

import pytest

from luksafe.crypto.kdf import KdfLimits
from luksafe.device.source import open_source
from luksafe.luks.inspection import inspect
from luksafe.luks.unlock import unlock
from luksafe.secret import SecretBytes
from luksafe.view.files.copying import copy_tree
from luksafe.view.files.reading import read_files
from luksafe.view.inside.volumes import choose, inner_volumes
from luksafe.view.stream import DecryptedReader, open_volume

pytestmark = pytest.mark.vm

MIB = 1 << 20
CHEAP = "--pbkdf pbkdf2 --pbkdf-force-iterations 1000"


def opened(disk: Path) -> DecryptedReader:
    reader = open_source(disk)
    header = inspect(reader).require_header()
    key = unlock(reader, header, SecretBytes(b"secret"), limits=KdfLimits())
    return open_volume(reader, header, {key.digest_id: key.volume_key})


def make_disk(path: Path, size_bytes: int) -> Path:
    with path.open("wb") as out:
        out.truncate(size_bytes)
    return path


def test_offsets_beyond_32_bits_of_sectors(vm: Any, tmp_path: Path) -> None:
    disk = make_disk(tmp_path / "disk.img", 3 << 40)
    places = [0, 5 << 30, (2 << 40) - MIB, 2 << 40, (5 << 39) + 4096]
    writes = "\n".join(
        f"python3 -c \"import random; open('/tmp/p','wb').write(random.Random({at}).randbytes({MIB}))\"\n"
        f"dd if=/tmp/p of=/dev/mapper/v bs=4096 seek={at // 4096} conv=notrunc,fsync status=none"
        for at in places
    )
    for sector_size in (512, 4096):
        script = f"""
            printf secret | cryptsetup luksFormat -q {CHEAP} --sector-size {sector_size} --type luks2 /dev/vda -
            printf secret | cryptsetup open --key-file - /dev/vda v
            {writes}
            cryptsetup close v
        """
        vm.sh(script, disks=[disk])
        volume = opened(disk)
        for at in places:
            assert volume.read_at(at, MIB) == random.Random(at).randbytes(MIB)


def test_unreadable_sectors_are_mapped_exactly_and_filled_in_later(vm: Any, vm_disk: Path) -> None:
    # sectors of the disk: one alone, eight from an odd one on, and a quarter of a megabyte
    bad = [(40001, 1), (50003, 8), (60000, 512)]
    data_sectors = 32768
    table, at = "", 0
    for start, count in bad:
        table += f"{at} {start - at} linear /dev/vda {at}\\n{start} {count} error\\n"
        at = start + count
    table += f"{at} {131072 - at} linear /dev/vda {at}\\n"
    script = f"""
        printf secret > /tmp/key
        cryptsetup luksFormat -q {CHEAP} --sector-size 512 --type luks2 /dev/vda /tmp/key >&2
        cryptsetup open --key-file /tmp/key /dev/vda v
        mkfs.ext4 -q /dev/mapper/v
        head -c 30M /dev/urandom | dd of=/dev/mapper/v bs=1M seek=10 conv=notrunc,fsync status=none
        good=$(sha256sum < /dev/mapper/v)
        cryptsetup close v
        printf '{table}' | dmsetup create bad; dmsetup mknodes
        cd /tmp
        python3 -m luksafe --json extract /dev/mapper/bad out --key-file key > result.json || [ $? = 3 ]
        bad_sum=$(sha256sum < out)
        cp out.map first.map
        python3 -m luksafe -q extract /dev/vda out --key-file key --resume --retry-bad --verify
        python3 - "$good" "$bad_sum" "$(sha256sum < out)" <<'PYTHON'
import json, sys, os
json.dump({{"good": sys.argv[1], "bad": sys.argv[2], "again": sys.argv[3], "result": json.load(open("result.json")),
           "map": open("first.map").read(), "left": os.path.exists("out.map")}}, sys.stdout)
PYTHON
    """
    seen = json.loads(vm.sh(script, disks=[vm_disk]))
    expected = [{"offset": (start - data_sectors) * 512, "length": count * 512} for start, count in bad]
    assert seen["result"]["bad"] == expected
    for place in expected:
        assert f"0x{place['offset']:08X}  0x{place['length']:08X}  -" in seen["map"]
    assert seen["bad"] != seen["good"]
    assert seen["again"] == seen["good"]
    assert not seen["left"]


def test_logical_volumes_that_lvm_made(vm: Any, vm_disk: Path, tmp_path: Path) -> None:
    script = f"""
        printf secret | cryptsetup luksFormat -q {CHEAP} --type luks2 /dev/vda -
        printf secret | cryptsetup open --key-file - /dev/vda v
        pvcreate -q /dev/mapper/v; vgcreate -q -s 1m group /dev/mapper/v
        lvcreate -q -y -Zn -Wn -n root -L 12m group; lvcreate -q -y -Zn -Wn -n between -L 4m group
        lvextend -q -L 20m group/root; lvremove -q -y group/between
        udevadm settle || true; dmsetup mknodes
        mkfs.ext4 -q /dev/mapper/group-root
        mkdir -p /tmp/m; mount /dev/mapper/group-root /tmp/m
        head -c 9M /dev/urandom > /tmp/m/file
        sha256sum < /tmp/m/file > /share/sum
        umount /tmp/m; vgchange -q -an group; cryptsetup close v
    """
    vm.sh(script, disks=[vm_disk])
    expected = (vm.share / "sum").read_text().split()[0]
    inner = choose(inner_volumes(opened(vm_disk)), "group/root")
    assert inner.content == "ext4"
    assert inner.reader is not None
    assert inner.reader.size_bytes == 20 * MIB
    copy_tree(read_files(inner.reader, inner.content, "/file"), tmp_path / "file")
    assert hashlib.sha256((tmp_path / "file").read_bytes()).hexdigest() == expected

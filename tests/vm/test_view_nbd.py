"""What ``serve`` offers as a block device of the kernel: read, checked and mounted; repaired on an overlay."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.vm

CHEAP = "--pbkdf pbkdf2 --pbkdf-force-iterations 1000"

SET_UP = f"""
    modprobe nbd
    printf secret > /tmp/key
    cryptsetup luksFormat -q {CHEAP} --type luks2 /dev/vda /tmp/key
    cryptsetup open --key-file /tmp/key /dev/vda v
    mkfs.ext4 -q /dev/mapper/v
    mkdir -p /tmp/m; mount /dev/mapper/v /tmp/m
    head -c 9M /dev/urandom > /tmp/m/file
    file_sum=$(sha256sum < /tmp/m/file)
    umount /tmp/m
"""
SERVE = """
    serve() {
        python3 -m luksafe -q serve /dev/vda --key-file /tmp/key --socket /tmp/s "$@" > /tmp/uri & server=$!
        for _ in $(seq 600); do [ -S /tmp/s ] && [ -s /tmp/uri ] && break; sleep 0.1; done
        client -unix /tmp/s /dev/nbd0
    }
    stop() { client -d /dev/nbd0; kill $server; wait $server; }
    own=/share/nbd-client
    client() { $own/ld-linux-x86-64.so.2 --library-path $own $own/nbd-client "$@"; }
"""


@pytest.fixture
def nbd_client(vm: Any) -> None:
    """nbd-client, with the libraries it needs, where the guest finds it."""
    program = shutil.which("nbd-client", path="/usr/sbin:/sbin:/usr/bin")
    if program is None:
        pytest.skip("nbd-client is not installed")
    folder = vm.share / "nbd-client"
    folder.mkdir(exist_ok=True)
    needed = subprocess.run(["ldd", program], check=True, capture_output=True, text=True).stdout
    for library in (program, *re.findall(r"(/\S+) \(0x", needed)):
        shutil.copy(library, folder)


def test_nbd_client_reads_checks_and_mounts_it(vm: Any, vm_disk: Path, nbd_client: None) -> None:
    script = f"""
        exec 3>&1 >&2
        {SET_UP}
        volume_sum=$(sha256sum < /dev/mapper/v)
        cryptsetup close v
        {SERVE}
        serve
        [ "$(blockdev --getro /dev/nbd0)" = 1 ]
        [ "$(sha256sum < /dev/nbd0)" = "$volume_sum" ]
        fsck.ext4 -f -n /dev/nbd0
        mount -o ro /dev/nbd0 /tmp/m
        [ "$(sha256sum < /tmp/m/file)" = "$file_sum" ]
        umount /tmp/m
        stop
        echo all >&3
    """
    assert vm.sh(script, disks=[vm_disk]) == "all\n"


def test_fsck_repairs_an_overlay_and_not_the_disk(vm: Any, vm_disk: Path, nbd_client: None) -> None:
    script = f"""
        exec 3>&1 >&2
        {SET_UP}
        debugfs -w -R "clri /file" /dev/mapper/v
        sync
        cryptsetup close v
        sha256sum < /dev/vda >&3
        {SERVE}
        serve --overlay /tmp/overlay
        fsck.ext4 -f -n /dev/nbd0 && exit 1
        fsck.ext4 -f -y /dev/nbd0 || [ $? = 1 ]
        fsck.ext4 -f -n /dev/nbd0
        mount /dev/nbd0 /tmp/m
        echo new > /tmp/m/new
        umount /tmp/m
        stop
        sha256sum < /dev/vda >&3
        serve --overlay /tmp/overlay
        fsck.ext4 -f -n /dev/nbd0
        mount -o ro /dev/nbd0 /tmp/m
        cat /tmp/m/new >&3
        umount /tmp/m
        stop
    """
    before, after, new = vm.sh(script, disks=[vm_disk]).splitlines()
    assert before == after
    assert new == "new"
    assert hashlib.sha256(vm_disk.read_bytes()).hexdigest() in before

"""Backing up, checking and restoring on a machine with dm-crypt: every place where a volume can be, and one in use."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.vm, pytest.mark.timeout(1200)]
SECONDS = 1000

FORMAT = "luksFormat -q --pbkdf pbkdf2 --pbkdf-force-iterations 1000 --key-file /tmp/pass"
LUKSAFE = 'luksafe() { python3 -m luksafe --vault /tmp/vault "$@"; }\n'


@pytest.fixture
def disks(tmp_path: Path) -> list[Path]:
    made = [tmp_path / f"disk{n}.img" for n in range(4)]
    for disk in made:
        with disk.open("wb") as out:
            out.truncate(64 << 20)
    return made


def uuid(number: int) -> str:
    return f"{number}" * 8 + "-0000-4000-8000-000000000000"


def test_every_volume_of_a_machine_is_found(vm: Any, disks: list[Path]) -> None:
    seen = vm.python(
        "import json\n"
        "load = lambda name: json.load(open(f'/tmp/{name}.json'))\n"
        "print(json.dumps({'backup': load('backup'), 'check': load('check')}))",
        before=f"""
{LUKSAFE}
modprobe dm-crypt; modprobe raid1; modprobe loop
/lib/systemd/systemd-udevd --daemon; udevadm trigger --settle
printf x > /tmp/pass
printf 'label: gpt\\nstart=2048\\n' | sfdisk -q /dev/vda; udevadm settle
cryptsetup {FORMAT} --type luks2 --uuid {uuid(1)} /dev/vda1
pvcreate -q /dev/vdb; vgcreate -q vg /dev/vdb; lvcreate -q -n lv -L 32M vg
cryptsetup {FORMAT} --type luks2 --uuid {uuid(2)} /dev/vg/lv
truncate -s 64M /tmp/m1 /tmp/m2
m1=$(losetup --show -f /tmp/m1); m2=$(losetup --show -f /tmp/m2)
mdadm --create /dev/md0 --run --level 1 --metadata 1.0 --raid-devices 2 $m1 $m2
cryptsetup {FORMAT} --type luks1 --uuid {uuid(3)} /dev/md0
truncate -s 32M /tmp/l; l=$(losetup --show -f /tmp/l)
cryptsetup {FORMAT} --type luks2 --uuid {uuid(4)} $l
cryptsetup {FORMAT} --type luks2 --uuid {uuid(5)} --header /root/vdd.header /dev/vdd
echo "away /dev/vdd none luks,header=/root/vdd.header" > /etc/crypttab
udevadm settle
luksafe backup --all --json > /tmp/backup.json
luksafe check --all --json > /tmp/check.json || [ $? = 10 ]
""",
        disks=disks,
        timeout=SECONDS,
    )
    wanted = {uuid(n) for n in range(1, 6)}
    assert sorted(b["uuid"] for b in seen["backup"]["backups"]) == sorted(wanted)
    devices = {b["uuid"]: b["device"] for b in seen["backup"]["backups"]}
    assert devices[uuid(1)] == "/dev/vda1"
    assert devices[uuid(2)] == "/dev/mapper/vg-lv"
    assert devices[uuid(3)] == "/dev/md0"
    assert devices[uuid(4)].startswith("/dev/loop")
    assert devices[uuid(5)] == "/dev/vdd"
    checked = {v["uuid"]: v for v in seen["check"]["volumes"]}
    assert set(checked) == wanted
    # each has a backup; what is missing is more copies and a proof, nothing else
    reasons = {reason["code"] for volume in checked.values() for reason in volume["reasons"]}
    assert {volume["state"] for volume in checked.values()} == {"at-risk"}
    assert reasons == {"too-few-copies", "unproven"}


def test_a_mapped_volume(vm: Any, disks: list[Path]) -> None:
    seen = vm.python(
        "import json\n"
        "from pathlib import Path\n"
        "print(json.dumps({p.stem: p.read_text() for p in Path('/tmp').glob('*.out')}))",
        before=f"""
{LUKSAFE}
modprobe dm-crypt
printf x > /tmp/pass; printf y > /tmp/other
cryptsetup {FORMAT} --type luks2 /dev/vda
cryptsetup open --key-file /tmp/pass /dev/vda one
strace -f -y -e trace=flock -o /tmp/backup.out python3 -m luksafe --vault /tmp/vault backup /dev/vda --json > /tmp/b
strace -f -y -e trace=flock -o /tmp/check.out python3 -m luksafe --vault /tmp/vault check /dev/vda || [ $? = 10 ]
id=$(python3 -c 'import json; print(json.load(open("/tmp/b"))["backups"][0]["id"])')
sha256sum /dev/vda > /tmp/before
set +e
luksafe restore $id /dev/vda --yes 2> /tmp/refused.out; echo $? >> /tmp/refused.out
luksafe restore $id /dev/vda --yes --json > /tmp/plan.out 2> /dev/null
( flock -x 9; luksafe check /dev/vda > /tmp/locked.out 2>&1; echo $? >> /tmp/locked.out ) \\
  9> /run/cryptsetup/L_$(stat -c %Hr:%Lr /dev/vda)
sha256sum -c /tmp/before > /tmp/unchanged.out
luksafe restore $id /dev/vda --yes --allow-in-use 2> /tmp/accepted.out; echo $? >> /tmp/accepted.out
cryptsetup status one > /tmp/status.out
sha256sum -c /tmp/before > /tmp/same.out
set -e
""",
        disks=disks[:1],
        timeout=SECONDS,
    )
    for verb in ("backup", "check"):
        locks = [line for line in seen[verb].splitlines() if "/run/cryptsetup/L_254:0" in line]
        assert any("LOCK_SH" in line for line in locks), seen[verb]
        assert not any("LOCK_EX" in line and "LOCK_EX|LOCK_NB" not in line for line in locks)
    refused = seen["refused"]
    assert refused.endswith("14\n")
    assert "/dev/mapper/one (CRYPT) stands on /dev/vda" in refused
    assert "--allow-in-use" in refused
    assert '"code": "in-use"' in seen["plan"]
    assert "is locked by" in seen["locked"]
    assert seen["unchanged"] == "/dev/vda: OK\n"
    assert seen["accepted"].endswith("\n0\n"), seen["accepted"]
    assert "/dev/mapper/one is active" in seen["status"]
    assert seen["same"] == "/dev/vda: OK\n"

"""Disks formatted over, erased, replaced, cloned, unplugged, without their table: what check and backup say of all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.vm, pytest.mark.timeout(4000)]
SECONDS = 3600

FORMAT = "luksFormat -q --type luks2 --pbkdf pbkdf2 --pbkdf-force-iterations 1000 --key-file /tmp/pass"
LUKSAFE = 'luksafe() { python3 -m luksafe --vault /root/vault "$@"; }\n'
NAMES = ("over", "part", "again", "lvm", "table", "first", "clone", "away", "apart")


def uuid(name: str) -> str:
    return f"{NAMES.index(name) + 1:08d}-0000-4000-8000-000000000000"


@pytest.fixture
def disks(tmp_path: Path) -> list[str]:
    """One for each name, with that as its serial number."""
    made = []
    for name in NAMES:
        path = tmp_path / f"{name}.img"
        with path.open("wb") as out:
            out.truncate(48 << 20)
        made.append(f"{path},serial=disk-{name}")
    return made


def test_what_became_of_every_volume(vm: Any, disks: list[str], record_property: Any) -> None:
    on = {name: f"/dev/vd{'abcdefghi'[number]}" for number, name in enumerate(NAMES)}
    seen = vm.python(
        "import json\n"
        "from pathlib import Path\n"
        "load = lambda name: json.loads(Path(f'/tmp/{name}.json').read_text())\n"
        "print(json.dumps({name: load(name) for name in ('before', 'check', 'backup', 'clones')}"
        " | {'status': Path('/tmp/status').read_text()}))",
        before=f"""
{LUKSAFE}
modprobe dm-crypt
/lib/systemd/systemd-udevd --daemon; udevadm trigger --settle
printf x > /tmp/pass; printf y > /tmp/other
for disk in {on["part"]} {on["table"]}; do printf 'label: gpt\\nstart=2048\\n' | sfdisk -q $disk; done
udevadm settle
pvcreate -q {on["lvm"]}; vgcreate -q vg {on["lvm"]}; lvcreate -q -n lv -L 32M vg
cryptsetup {FORMAT} --uuid {uuid("over")} {on["over"]}
cryptsetup {FORMAT} --uuid {uuid("part")} {on["part"]}1
cryptsetup {FORMAT} --uuid {uuid("again")} {on["again"]}
cryptsetup {FORMAT} --uuid {uuid("lvm")} /dev/vg/lv
cryptsetup {FORMAT} --uuid {uuid("table")} {on["table"]}1
cryptsetup {FORMAT} --uuid {uuid("first")} {on["first"]}
cryptsetup {FORMAT} --uuid {uuid("away")} {on["away"]}
cryptsetup {FORMAT} --uuid {uuid("apart")} --header /root/apart.header {on["apart"]}
cryptsetup open --key-file /tmp/pass --header /root/apart.header {on["apart"]} apart
udevadm settle
luksafe backup --all --json > /tmp/before.json || true
luksafe backup {on["apart"]} --header /root/apart.header
# the accidents
mkfs.ext4 -q -F {on["over"]}
cryptsetup luksErase -q {on["part"]}1
cryptsetup {FORMAT} --uuid 99999999-0000-4000-8000-000000000000 {on["again"]}
dd if=/dev/zero of={on["table"]} bs=512 count=34 conv=fsync status=none
dd if=/dev/zero of={on["table"]} bs=512 count=34 seek=$((98304 - 34)) conv=fsync status=none
blockdev --rereadpt {on["table"]} || partx -d {on["table"]}
dd if={on["first"]} of={on["clone"]} bs=1M conv=fsync status=none
cryptsetup luksChangeKey -q --pbkdf pbkdf2 --pbkdf-force-iterations 1000 --key-file /tmp/pass {on["clone"]} /tmp/other
luksafe backup {on["clone"]}
echo 1 > $(readlink -f /sys/block/{on["away"][5:]}/device/..)/remove
udevadm settle
luksafe check --all --json > /tmp/check.json || echo check $? >> /tmp/status
luksafe check --all || true
luksafe backup --all --json > /tmp/backup.json || echo backup $? >> /tmp/status
luksafe backup --all || true
luksafe check {on["first"]} {on["clone"]} --json > /tmp/clones.json || echo clones $? >> /tmp/status
""",
        disks=disks,
        timeout=SECONDS,
    )
    volumes = {(volume["uuid"], volume["device"]): volume for volume in seen["check"]["volumes"]}
    rows = [(v["device"], v["uuid"][:8], v["state"], v["severity"], codes(v)) for v in volumes.values()]
    record_property("known-volumes", rows)
    print(*rows, sep="\n")
    expected = {
        (uuid("over"), on["over"]): "header-damaged",
        (uuid("part"), on["part"] + "1"): "erased",
        (uuid("again"), on["again"]): "replaced",
        (uuid("table"), on["table"]): "partition-gone",
    }
    for key, code in expected.items():
        assert code in codes(volumes[key]), volumes[key]
        assert volumes[key]["severity"] == "critical"
    assert "ext4 is there now" in text_of(volumes[uuid("over"), on["over"]], "header-damaged")
    assert "its header is still there" in text_of(volumes[uuid("table"), on["table"]], "partition-gone")
    healthy = [(uuid("lvm"), "/dev/mapper/vg-lv"), (uuid("first"), on["first"]), (uuid("first"), on["clone"])]
    for key in healthy:
        assert volumes[key]["severity"] == "warning", volumes[key]
        assert codes(volumes[key]) <= {"too-few-copies", "unproven", "clone"}
    away = volumes[uuid("away"), on["away"]]
    assert (away["severity"], "absent" in codes(away)) == ("warning", True)
    apart = volumes[uuid("apart"), on["apart"]]
    assert "header-detached" in codes(apart)
    assert apart["severity"] == "warning"
    fates = {missing["uuid"]: missing["fate"] for missing in seen["backup"]["missing"]}
    assert fates == {
        uuid("over"): "lost",
        uuid("again"): "lost",
        uuid("table"): "partition-gone",
        uuid("away"): "absent",
    } | ({uuid("apart"): "header-apart"} if uuid("apart") in fates else {})
    assert "check 10" in seen["status"]
    assert "backup 3" in seen["status"]
    for clone in seen["clones"]["volumes"]:
        assert not {"drift", "not-current", "split", "revoked-keyslots"} & codes(clone)


def codes(volume: dict[str, Any]) -> set[str]:
    return {found["code"] for found in (*volume["reasons"], *volume["notes"])}


def text_of(volume: dict[str, Any], code: str) -> str:
    return next(str(reason["text"]) for reason in volume["reasons"] if reason["code"] == code)

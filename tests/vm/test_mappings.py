"""Active mappings of every kind, as a real kernel shows them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.vm

FORMAT = "--pbkdf pbkdf2 --pbkdf-force-iterations 1000 -q --key-file /tmp/pass"
LIST = """
import json
from luksafe.device.mappings import find_mapping, list_mappings, mappings_over
from luksafe.errors import NotFound
mappings = {m.name: m for m in list_mappings()}
def facts(m):
    tables = [{**t.to_json(), "secret": t.key.secret.reveal().hex() if t.key.secret else None} for t in m.tables]
    return {**m.to_json(), "tables": tables, "wiped": m.is_key_wiped}
def refused(m):
    "What rebuild says of it, in words; nothing where it would take the key."
    from luksafe.errors import LuksafeError
    from luksafe.ops.rebuild.mapped import parameters_of
    try: parameters_of(m)
    except LuksafeError as e: return f"{type(e).__name__}: {e}; {e.hint}"
    return ""
def shown():
    "What the verb prints."
    import subprocess
    return subprocess.run(["python3", "-m", "luksafe", "mappings"], capture_output=True, text=True).stdout
"""


@pytest.fixture
def disks(tmp_path: Path) -> list[Path]:
    made = [tmp_path / f"disk{n}.img" for n in range(3)]
    for disk in made:
        with disk.open("wb") as out:
            out.truncate(64 << 20)
    return made


def test_every_kind_of_mapping(vm: Any, disks: list[Path]) -> None:
    seen = vm.python(
        LIST + "over = {d: [m.name for m in mappings_over(d)] for d in ('/dev/vda', '/dev/vdb', '/tmp/i.img')}\n"
        "try: find_mapping('nosuch')\n"
        "except NotFound as e: missing = e.hint\n"
        "from luksafe.device.discover import find_luks_devices\n"
        "print(json.dumps({'all': {n: facts(m) for n, m in mappings.items()}, 'over': over, 'missing': missing,\n"
        "    'refused': {n: refused(m) for n, m in mappings.items()}, 'shown': shown(),\n"
        "    'problems': [[d.path, d.problem] for d in find_luks_devices() if d.problem]}))",
        before=f"""
modprobe dm-crypt; modprobe dm-integrity
printf x > /tmp/pass
cryptsetup luksFormat {FORMAT} --type luks1 --uuid 11111111-2222-3333-4444-555555555555 /dev/vda
cryptsetup open --key-file /tmp/pass --allow-discards /dev/vda one
mkfs.ext2 -q /dev/mapper/one; mkdir -p /tmp/mnt; mount /dev/mapper/one /tmp/mnt
cryptsetup luksFormat {FORMAT} --type luks2 --sector-size 4096 /dev/vdb
cryptsetup open --key-file /tmp/pass --perf-no_read_workqueue --readonly /dev/vdb two
truncate -s 64M /tmp/i.img; losetup /dev/loop0 /tmp/i.img
cryptsetup luksFormat {FORMAT} --type luks2 --integrity hmac-sha256 --integrity-no-wipe /dev/loop0
cryptsetup open --key-file /tmp/pass /dev/loop0 three
truncate -s 64M /tmp/p.img; losetup /dev/loop1 /tmp/p.img
printf %064d 7 > /tmp/key
cryptsetup open --type plain -c aes-cbc-essiv:sha256 -s 256 -h plain -o 8 -p 16 --key-file /tmp/key /dev/loop1 bare
cryptsetup luksFormat {FORMAT} --type luks2 --header /tmp/hdr /dev/vdc
cryptsetup open --key-file /tmp/pass --disable-keyring --header /tmp/hdr /dev/vdc away
dmsetup create byhand --table "0 8 crypt cipher_null-ecb - 0 7:1 64"
dmsetup create plainlinear --table "0 8 linear 7:1 64"
cryptsetup luksSuspend two
""",
        disks=disks,
    )
    mappings = seen["all"]
    assert list(mappings) == ["one", "two", "three", "bare", "away", "byhand"]
    one, two, three = mappings["one"], mappings["two"], mappings["three"]
    assert (one["type"], one["luks_uuid"]) == ("LUKS1", "11111111-2222-3333-4444-555555555555")
    assert (one["device"], one["stack"]) == ("/dev/vda", ["/dev/vda"])
    assert len(one["tables"][0]["secret"]) == 128
    assert one["tables"][0]["flags"] == ["allow_discards"]
    assert one["uses"] == [
        {"kind": "mounted", "name": "/tmp/mnt", "detail": "/dev/mapper/one is mounted at /tmp/mnt (ext2)"}
    ]
    assert (two["is_suspended"], two["wiped"], two["is_read_only"]) == (True, True, True)
    assert two["tables"][0]["sector_size"] == 4096
    assert two["tables"][0]["flags"] == ["no_read_workqueue"]
    assert two["tables"][0]["secret"] is None
    assert (three["device"], three["stack"]) == ("/dev/loop0", ["/dev/mapper/three_dif", "/dev/loop0"])
    assert three["tables"][0]["key"]["place"] == "keyring"
    assert three["tables"][0]["key"]["description"] == f"cryptsetup:{three['luks_uuid']}-d0"
    assert (three["tables"][0]["integrity_tag_bytes"], three["tables"][0]["integrity_type"]) == (32, "aead")
    bare, away, byhand = mappings["bare"], mappings["away"], mappings["byhand"]
    assert (bare["type"], bare["luks_uuid"]) == ("PLAIN", "")
    assert bare["tables"][0]["secret"] == (b"0" * 32).hex()
    assert (bare["tables"][0]["offset_sectors"], bare["tables"][0]["iv_offset_sectors"]) == (8, 16)
    assert (away["device"], away["tables"][0]["offset_sectors"]) == ("/dev/vdc", 0)
    assert (byhand["type"], byhand["tables"][0]["key"]["place"]) == ("", "none")
    assert seen["over"] == {"/dev/vda": ["one"], "/dev/vdb": ["two"], "/tmp/i.img": ["three"]}
    assert ["/dev/mapper/two", "it is suspended: reading it would wait for ever"] in seen["problems"]
    refused = seen["refused"]
    assert refused["one"] == refused["away"] == ""
    assert refused["two"].startswith("Refused: the key of two is wiped")
    assert (
        refused["three"].startswith("Unsupported: three has integrity tags") and "copy the data out" in refused["three"]
    )
    assert refused["bare"].startswith("Refused: bare is PLAIN, not LUKS: it never had a header")
    assert "tags     32 bytes for each sector (aead)" in seen["shown"]
    assert "wiped by luksSuspend" in seen["shown"]
    assert seen["missing"] == "active now: one, two, three, bare, away, byhand"


def test_the_key_that_is_shown_is_the_volume_key(vm: Any, disks: list[Path]) -> None:
    shown = vm.python(
        LIST + "print(json.dumps([facts(m)['tables'][0]['secret'] for m in mappings.values()]\n"
        "    + [open('/tmp/vk', 'rb').read().hex()]))",
        before=f"""
modprobe dm-crypt
printf x > /tmp/pass; head -c 64 /dev/urandom > /tmp/vk
cryptsetup luksFormat {FORMAT} --volume-key-file /tmp/vk --key-size 512 --type luks2 /dev/vda
cryptsetup open --key-file /tmp/pass --disable-keyring /dev/vda two
dd if=/dev/zero of=/dev/vda bs=1M count=16 conv=fsync
""",
        disks=disks,
    )
    assert shown[0] == shown[1]


def test_a_volume_in_reencryption_has_several_tables(vm: Any, disks: list[Path]) -> None:
    two = vm.python(
        LIST + "print(json.dumps(facts(mappings['two']) | {'names': list(mappings),\n"
        "    'refused': refused(mappings['two']), 'shown': shown()}))",
        before=f"""
modprobe dm-crypt
printf x > /tmp/pass
cryptsetup luksFormat {FORMAT} --type luks2 /dev/vda
cryptsetup open --key-file /tmp/pass /dev/vda two
cryptsetup reencrypt {FORMAT} --hotzone-size 4M /dev/vda & pid=$!
until dmsetup table two | grep linear && dmsetup table two-overlay | grep d1; do sleep 0.05; done
kill -STOP $pid; sleep 0.1
""",
        disks=disks,
    )
    assert two["names"] == ["two"]
    assert two["is_reencrypting"]
    assert two["refused"].startswith("Unsupported: two is in reencryption") and "do not reboot" in two["refused"]
    assert "in reencryption: each part has a key of its own" in two["shown"]
    assert two["device"] == "/dev/vda"
    assert len(two["tables"]) >= 2
    assert len({table["key"]["description"] for table in two["tables"]}) == 2
    assert sum(table["length_sectors"] for table in two["tables"]) * 512 == two["size_bytes"]


def test_lvm_below_and_above_and_raid(vm: Any, disks: list[Path]) -> None:
    seen = vm.python(
        "import json\n"
        "from luksafe.device.discover import find_luks_devices\n"
        "from luksafe.device.identity import describe\n"
        "from luksafe.device.mappings import list_mappings, mappings_over\n"
        "from luksafe.device.usage import find_uses\n"
        "print(json.dumps({\n"
        "  'found': [[d.path, d.uuid, d.problem] for d in find_luks_devices()],\n"
        "  'keys': {p: describe(p).target_key for p in ('/dev/mapper/vg-lv', '/dev/md0', '/dev/vda')},\n"
        "  'stacks': {m.name: m.stack for m in list_mappings()},\n"
        "  'over': {p: [m.name for m in mappings_over(p)] for p in ('/dev/vda', '/dev/vdb')},\n"
        "  'uses': {p: [[u.kind, u.name] for u in find_uses(p)] for p in ('/dev/vda', '/dev/vdb', '/dev/vdc')}}))",
        before=f"""
modprobe dm-crypt; modprobe raid1
/lib/systemd/systemd-udevd --daemon; udevadm trigger --settle
printf x > /tmp/pass
pvcreate -q /dev/vda; vgcreate -q vg /dev/vda; lvcreate -q -n lv -L 32M vg
cryptsetup luksFormat {FORMAT} --type luks2 --uuid 11111111-0000-0000-0000-000000000000 /dev/vg/lv
cryptsetup open --key-file /tmp/pass /dev/vg/lv onlvm
mdadm --create /dev/md0 --run --level 1 --metadata 1.0 --raid-devices 2 /dev/vdb /dev/vdc
cryptsetup luksFormat {FORMAT} --type luks2 --uuid 22222222-0000-0000-0000-000000000000 /dev/md0
cryptsetup open --key-file /tmp/pass /dev/md0 onmd
pvcreate -q /dev/mapper/onmd; vgcreate -q inner /dev/mapper/onmd; lvcreate -q -n swap -L 16M inner
mkswap -q /dev/inner/swap; swapon /dev/inner/swap
udevadm settle
""",
        disks=disks,
    )
    assert [found for found in seen["found"] if found[1]] == [
        ["/dev/md0", "22222222-0000-0000-0000-000000000000", ""],
        ["/dev/mapper/vg-lv", "11111111-0000-0000-0000-000000000000", ""],
    ]
    assert [found for found in seen["found"] if found[2]] == []
    assert seen["keys"]["/dev/mapper/vg-lv"].startswith("dm:LVM-")
    assert seen["keys"]["/dev/md0"].startswith("md:")
    assert seen["keys"]["/dev/vda"] == "serial::disk0"
    assert seen["stacks"] == {
        "onlvm": ["/dev/mapper/vg-lv", "/dev/vda"],
        "onmd": ["/dev/md0", "/dev/vdb", "/dev/vdc"],
    }
    assert seen["over"] == {"/dev/vda": ["onlvm"], "/dev/vdb": ["onmd"]}
    assert seen["uses"]["/dev/vda"] == [["mapping", "/dev/mapper/vg-lv"], ["mapping", "/dev/mapper/onlvm"]]
    assert seen["uses"]["/dev/vdb"] == [
        ["raid", "/dev/md0"],
        ["mapping", "/dev/mapper/onmd"],
        ["mapping", "/dev/mapper/inner-swap"],
        ["swap", "/dev/mapper/inner-swap"],
    ]


def test_writing_beneath_an_active_mapping(vm: Any, disks: list[Path]) -> None:
    seen = vm.python(
        "import json\n"
        "from luksafe.device.exclusive import open_for_writing\n"
        "from luksafe.device.identity import describe\n"
        "from luksafe.errors import Busy\n"
        "planned = describe('/dev/vda')\n"
        "try: open_for_writing('/dev/vda', planned)\n"
        "except Busy as e: busy = str(e)\n"
        "with open_for_writing('/dev/vda', planned, allow_in_use=True) as d:\n"
        "    d.write_at(3, b'new'); d.sync(); back = d.read_uncached(3, 3)\n"
        "print(json.dumps({'busy': busy, 'back': back.data.decode(), 'how': back.method, 'lock': d.lock.held}))",
        before=f"""
modprobe dm-crypt
printf x > /tmp/pass
cryptsetup luksFormat {FORMAT} --type luks2 /dev/vda
cryptsetup open --key-file /tmp/pass /dev/vda one
""",
        disks=disks,
    )
    assert seen == {"busy": "/dev/mapper/one (CRYPT) stands on /dev/vda", "back": "new", "how": "direct", "lock": True}
    assert disks[0].read_bytes()[3:6] == b"new"

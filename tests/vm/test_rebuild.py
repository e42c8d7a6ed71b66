"""The header is gone, the volume is open: rebuilt with a real kernel while the volume is mounted and written to."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from luksafe.luks.inspection import inspect
from luksafe.luks.unlock import unlock
from luksafe.memory.sources.raw import open_raw
from luksafe.secret import SecretBytes

pytestmark = [pytest.mark.vm, pytest.mark.slow, pytest.mark.timeout(2400)]

LUKS1, LUKS2 = "--type luks1", "--type luks2"
XTS_512, XTS_256 = "-c aes-xts-plain64 -s 512", "-c aes-xts-plain64 -s 256"
ESSIV = "-c aes-cbc-essiv:sha256 -s 256"
IN_TABLE = "--disable-keyring"
BIG = "--sector-size 4096"
SMALL = "--sector-size 512"

# name: where it stands, format, options to open it, what befalls the header, detached
CASES: dict[str, tuple[str, str, str, str, bool]] = {
    "luks1-xts512-disk-zeros": ("disk", f"{LUKS1} {XTS_512}", "", "zeros", False),
    "luks1-xts256-lvm-luksFormat": ("lvm", f"{LUKS1} {XTS_256}", "", "luksFormat", False),
    "luks1-essiv-partition-vfat": ("partition", f"{LUKS1} {ESSIV}", "", "vfat", False),
    "luks1-xts512-detached": ("disk", f"{LUKS1} {XTS_512}", "", "", True),
    "luks2-table-xts512-4096-lvm-zeros": ("lvm", f"{LUKS2} {XTS_512} {BIG}", IN_TABLE, "zeros", False),
    "luks2-table-xts256-512-partition-luksFormat": (
        "partition",
        f"{LUKS2} {XTS_256} {SMALL}",
        IN_TABLE,
        "luksFormat",
        False,
    ),
    "luks2-table-essiv-4096-disk-vfat": ("disk", f"{LUKS2} {ESSIV} {BIG}", IN_TABLE, "vfat", False),
    "luks2-table-xts512-detached": ("disk", f"{LUKS2} {XTS_512} {SMALL}", IN_TABLE, "", True),
    "luks2-keyring-xts512-512-disk-zeros": ("disk", f"{LUKS2} {XTS_512} {SMALL}", "", "zeros", False),
    "luks2-keyring-xts256-4096-partition-vfat": ("partition", f"{LUKS2} {XTS_256} {BIG}", "", "vfat", False),
    "luks2-keyring-essiv-512-lvm-luksFormat": ("lvm", f"{LUKS2} {ESSIV} {SMALL}", "", "luksFormat", False),
    "luks2-keyring-xts512-4096-detached": ("disk", f"{LUKS2} {XTS_512} {BIG}", "", "", True),
}
MEMORY = ("--memory", "768")
SOURCE = str(Path(__file__).resolve().parents[2] / "src")


@pytest.fixture(scope="module")
def guest(vm: Any) -> Any:
    shutil.copy(Path(__file__).with_name("luksafe_in_guest.py"), vm.share / "src")
    return vm


@pytest.fixture
def disks(tmp_path: Path) -> list[Path]:
    made = [tmp_path / f"disk{n}.img" for n in range(3)]
    for disk in made:
        with disk.open("wb") as out:
            out.truncate(96 << 20)
    return made


def run(guest: Any, disks: list[Path], program: str, timeout: int = 1200) -> Any:
    start = "import json\nfrom luksafe_in_guest import *\nset_up()\n"
    return guest.python(start + program, disks=disks, options=MEMORY, timeout=timeout)


@pytest.mark.parametrize("group", ["luks1", "luks2-table", "luks2-keyring"])
def test_rebuilt_while_mounted_and_written_to(guest: Any, disks: list[Path], group: str, vm_share: Path) -> None:
    cases = {name: case for name, case in CASES.items() if name.startswith(group)}
    rows = run(
        guest,
        disks,
        f"cases = {cases!r}\nrows = {{}}\n"
        "for name, (on, format, opening, by, detached) in cases.items():\n"
        "    rows[name] = lose_and_rebuild(on=on, format=format, open_options=opening, by=by, detached=detached)\n"
        "print(json.dumps(rows))",
    )
    for name, row in rows.items():
        print(name, row)
    key = "memory" if group == "luks2-keyring" else "table"
    for name, row in rows.items():
        assert row["status"] == 0, (name, row)
        assert (row["proofs"], row["key"]) == (["mapping"], key), (name, row)
        assert (row["fsck"], row["identical"], row["uuid_kept"]) == (0, True, True), (name, row)
        assert row["writes"] > 0 and row["old_passphrase"] == 2, (name, row)
        other = "detached" if "detached" in name else "other" if "luksFormat" in name else "gone"
        assert row["header_was"] == other, (name, row)


def test_keyslots_of_a_backup_come_back(guest: Any, disks: list[Path]) -> None:
    row = run(
        guest,
        disks,
        "def back_up(device): assert luksafe('backup', device)['status'] in (0, 3)\n"
        f"row = lose_and_rebuild(on='disk', format={f'{LUKS2} {XTS_512}'!r}, by='zeros', before=back_up)\n"
        "print(json.dumps(row))",
    )
    assert (row["status"], row["proofs"], row["fsck"], row["identical"]) == (0, ["digest", "mapping"], 0, True), row
    assert row["old_passphrase"] == 0


SEVERAL = {
    "vda": f"{LUKS2} {XTS_512} {SMALL}",
    "vdb": f"{LUKS2} {XTS_256} {BIG}",
    "vdc": f"{LUKS2} {ESSIV} {SMALL}",
}
CHURN = [("vm", 5), ("vm_newer_kernel", 5), pytest.param("vm", 60, marks=pytest.mark.long)]
"""The kernel, and how many times all memory is given out anew before the headers are lost."""


@pytest.mark.parametrize(("kernel", "times"), CHURN)
def test_several_volumes_after_memory_churn(
    kernel: str,
    times: int,
    request: pytest.FixtureRequest,
    disks: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each gets its own key: in the guest from /proc/kcore, outside from a dump of its memory and a backup."""
    machine: Any = request.getfixturevalue(kernel)
    shutil.copy(Path(__file__).with_name("luksafe_in_guest.py"), machine.share / "src")
    shutil.rmtree(machine.share / "vault-of-several", ignore_errors=True)
    dump = tmp_path / "memory"
    program = (
        "import json\nfrom luksafe_in_guest import *\nset_up()\n"
        f"print(json.dumps(several_volumes({SEVERAL!r}, {times}, '/dev/vdd')))"
    )
    options = [*MEMORY, "--memory-dump", str(dump)]
    swap = tmp_path / "swap.img"
    with swap.open("wb") as out:
        out.truncate(640 << 20)
    seen = machine.python(program, disks=[*disks, swap], options=options, timeout=1200 + 40 * times)
    print({name: row for name, row in seen.items() if name != "keys"})
    spent = seen["churn"]
    assert spent["reused"] >= times and spent["swapped_in"] and spent["swapped_out"], spent
    assert spent["marked_before"] > spent["pages"] / 4 and spent["marked_after"] < spent["marked_before"] / 50, spent
    for name in SEVERAL:
        row = seen[name]
        assert row["status"] == 0, row
        assert (row["proofs"], row["own_key"], row["fsck"], row["identical"]) == (["mapping"], True, 0, True), row

    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "new").write_bytes(b"from outside")
    vault = ["--vault", str(machine.share / "vault-of-several")]
    uuids = [inspect(open_raw(disk)).require_header().uuid for disk in disks]
    for disk in disks:
        with disk.open("r+b") as out:
            out.write(bytes(16 << 20))
    common = ["--from-memory", str(dump), "--new-key-file", str(tmp_path / "new"), "--yes"]
    cheap = ["--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000"]

    def rebuild(disk: Path, uuid: str) -> int:
        command = [sys.executable, "-m", "luksafe", *vault, "rebuild", str(disk), *common, *cheap, "--uuid", uuid]
        return subprocess.run(command, capture_output=True, env={**os.environ, "PYTHONPATH": SOURCE}).returncode

    assert rebuild(disks[0], uuids[1]) == 14  # the key is proven by the other volume's digest, but not by these data
    assert not any(disks[0].read_bytes()[: 16 << 20])
    for disk, uuid, name in zip(disks, uuids, SEVERAL, strict=True):
        assert rebuild(disk, uuid) == 0
        reader = open_raw(disk)
        opened = unlock(reader, inspect(reader).require_header(), SecretBytes(b"from outside"))
        assert opened.volume_key.reveal().hex() == seen["keys"][name]


def test_what_is_refused(guest: Any, disks: list[Path]) -> None:
    seen = run(
        guest,
        disks,
        f"""
for disk in ('vda', 'vdb'):
    run(f'cryptsetup luksFormat -q {{CHEAP}} {LUKS2} /dev/{{disk}} {{OLD}}; '
        f'cryptsetup open --key-file {{OLD}} /dev/{{disk}} on-{{disk}}')
run('truncate -s 32M /tmp/plain.img; losetup /dev/loop0 /tmp/plain.img; head -c 64 /dev/urandom > /tmp/key')
run('cryptsetup open --type plain {XTS_512} -h plain --key-file /tmp/key /dev/loop0 bare')
run('mkfs.ext4 -q /dev/mapper/bare')
before = {{disk: hashlib.sha256(open(f'/dev/{{disk}}', 'rb').read(32 << 20)).hexdigest() for disk in ('vda', 'vdb')}}
new = ['--new-key-file', str(NEW), *CHEAP.split(), '--yes']
seen = {{
    'wrong pair': luksafe('rebuild', '/dev/vda', '--from-mapping', 'on-vdb', *new),
    'plain': luksafe('rebuild', '/dev/loop0', '--from-mapping', 'bare', *new),
}}
run('head -c 64 /dev/urandom > /tmp/other-key; dd if=/dev/zero of=/dev/vda bs=1M count=16 conv=fsync status=none')
stated = '--type luks2 --uuid 11111111-2222-3333-4444-555555555555 --cipher aes-xts-plain64 --sector-size 512'
seen['wrong key'] = luksafe('rebuild', '/dev/vda', '--volume-key-file', '/tmp/other-key', *stated.split(),
    '--data-offset', '16777216', *new)
seen['backup'] = luksafe('backup', '/dev/vda')
seen['check'] = luksafe('check', '/dev/vda')
run('cryptsetup luksSuspend on-vdb')
seen['suspended'] = luksafe('rebuild', '/dev/vdb', '--from-mapping', 'on-vdb', *new)
seen['table'] = luksafe('mappings')
after = {{disk: hashlib.sha256(open(f'/dev/{{disk}}', 'rb').read(32 << 20)).hexdigest() for disk in ('vda', 'vdb')}}
seen['vdb untouched'] = before['vdb'] == after['vdb']
seen['vda zeros'] = not any(open('/dev/vda', 'rb').read(16 << 20))
uuid = '11111111-2222-3333-4444-555555555555'
seen['as luks'] = luksafe('rebuild', '/dev/loop0', '--from-mapping', 'bare', '--as-luks', 'luks2', '--uuid', uuid,
    '--to', '/tmp/header', *new)
run('cryptsetup close bare')
seen['opens'] = run(f'cryptsetup open --header /tmp/header --key-file {{NEW}} /dev/loop0 again && '
    'fsck.ext4 -fn /dev/mapper/again', check=False).returncode
print(json.dumps(seen))
""",
    )
    assert seen["wrong pair"]["status"] == 14 and "on-vdb does not stand on /dev/vda" in seen["wrong pair"]["out"]
    assert seen["plain"]["status"] == 14 and "never had a header" in seen["plain"]["out"]
    assert seen["wrong key"]["status"] == 14 and "of /dev/vda decrypt to what" in seen["wrong key"]["out"]
    assert seen["suspended"]["status"] == 14 and "is wiped" in seen["suspended"]["out"]
    for verb in ("backup", "check"):
        assert "luksafe rebuild /dev/vda --from-mapping on-vda" in seen[verb]["out"], seen[verb]
        assert "do not close it, do not reboot" in seen[verb]["out"]
    assert "wiped by luksSuspend" in seen["table"]["out"]
    assert seen["vdb untouched"] and seen["vda zeros"]
    assert (seen["as luks"]["status"], seen["opens"]) == (0, 0), seen


def test_emergency_and_findkeys(guest: Any, disks: list[Path]) -> None:
    seen = run(
        guest,
        disks,
        f"""
import pyrage
identity = pyrage.x25519.Identity.generate()
run(f'cryptsetup luksFormat -q {{CHEAP}} {LUKS2} {XTS_512} /dev/vda {{OLD}}; '
    f'cryptsetup luksDump -q --dump-volume-key --volume-key-file /tmp/vk --key-file {{OLD}} /dev/vda; '
    f'cryptsetup open --key-file {{OLD}} /dev/vda home; mkfs.ext4 -q /dev/mapper/home; '
    f'mount /dev/mapper/home {{MOUNT}}')
hashes = fill()
damage('zeros', '/dev/vda', 16 << 20)
with being_written_to():
    seen = {{
        'findkeys': luksafe('findkeys', '/proc/kcore', '--mapping', 'home', '--out', '/tmp/found', '--json'),
        'emergency': luksafe('emergency', 'home', '--to', '/tmp/header', '--new-key-file', str(NEW), *CHEAP.split(),
            '--recipient', str(identity.to_public()), '--json'),
        'restore': luksafe('restore', '/tmp/header', '/dev/vda', '--allow-in-use', '--yes'),
    }}
seen['right key'] = Path('/tmp/found').read_bytes() == Path('/tmp/vk').read_bytes()
run(f'umount {{MOUNT}}; cryptsetup close home; cryptsetup open --key-file {{NEW}} /dev/vda home')
seen['fsck'] = run('fsck.ext4 -fn /dev/mapper/home', check=False).returncode
run(f'mount -o ro /dev/mapper/home {{MOUNT}}')
seen['identical'] = read_hashes() == hashes
run(f'umount {{MOUNT}}; cryptsetup close home')
Path('/tmp/identity').write_text(str(identity))
packet = seen['emergency']['json']['packets'][0]['id']
opened = luksafe('escrow', 'open', packet, '--identity', '/tmp/identity', '--json')
seen['escrow'] = opened['json']['secret_hex'] == Path('/tmp/vk').read_bytes().hex()
print(json.dumps(seen))
""",
    )
    assert seen["findkeys"]["status"] == 0, seen["findkeys"]
    assert seen["right key"] and seen["findkeys"]["json"]["keys"][0]["proven_by"] == "the active mapping"
    assert seen["emergency"]["status"] in (0, 3), seen["emergency"]
    assert seen["emergency"]["json"]["backup"] and seen["emergency"]["json"]["problems"] == []
    assert seen["restore"]["status"] == 0, seen["restore"]
    assert (seen["fsck"], seen["identical"], seen["escrow"]) == (0, True, True)


def test_a_key_that_is_linked_to_a_readable_keyring(guest: Any, disks: list[Path]) -> None:
    """As cryptsetup 2.7 does with --link-vk-to-keyring; memory need not be searched."""
    seen = run(
        guest,
        disks,
        f"""
run(f'cryptsetup luksFormat -q {{CHEAP}} {LUKS2} {XTS_512} /dev/vda {{OLD}}; '
    f'cryptsetup luksDump -q --dump-volume-key --volume-key-file /tmp/vk --key-file {{OLD}} /dev/vda; '
    f'cryptsetup open --key-file {{OLD}} /dev/vda home; mkfs.ext4 -q /dev/mapper/home; '
    'head -c 64 /dev/urandom | keyctl padd user another @u; keyctl padd user home-key @u < /tmp/vk')
damage('zeros', '/dev/vda', 16 << 20)
print(json.dumps(luksafe('rebuild', '/dev/vda', '--from-mapping', 'home', '--dry-run', '--json')))
""",
    )
    assert seen["status"] == 0, seen
    assert seen["json"]["key"] == "mapping home, the key home-key in the kernel keyring"

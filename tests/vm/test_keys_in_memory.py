"""Volume keys in the memory of a real kernel: from inside by /proc/kcore, from outside in dumps of the hypervisor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from luksafe.luks.inspection import inspect
from luksafe.luks.model import Digest
from luksafe.memory.candidates import candidate_keys
from luksafe.memory.detect import open_memory
from luksafe.memory.search import ScheduleHit, find_schedules
from luksafe.memory.sources.raw import open_raw
from luksafe.memory.verify import digest_proof, first_proven

pytestmark = [pytest.mark.vm, pytest.mark.slow, pytest.mark.timeout(900)]
SECONDS = 400

VOLUMES = {
    "vda": "-c aes-xts-plain64 -s 512",
    "vdb": "-c aes-xts-plain64 -s 256 --sector-size 4096",
    "vdc": "-c aes-cbc-essiv:sha256 -s 256",
    "vdd": "-c aes-xts-plain64 -s 384",
}
KERNELS = ["vm", "vm_newer_kernel"]
MEMORY = ["--memory", "640"]

# What runs in the guest: make volumes, map them, and search the kernel's memory.
GUEST = f"""
import json, subprocess
from pathlib import Path
from luksafe.device.uncached import read_uncached
from luksafe.luks.inspection import inspect
from luksafe.memory.candidates import candidate_keys
from luksafe.memory.detect import open_memory
from luksafe.memory.search import find_schedules
from luksafe.memory.sources.raw import open_raw
from luksafe.memory.verify import Sample, data_proof, digest_proof, first_proven

VOLUMES = {VOLUMES!r}

def run(command, data=b""):
    return subprocess.run(["bash", "-ec", command], input=data, check=True, stdout=subprocess.PIPE).stdout

def make(name):
    run("cryptsetup luksFormat -q --type luks2 --pbkdf pbkdf2 --pbkdf-force-iterations 1000 "
        + VOLUMES[name] + " /dev/" + name + " -", b"secret")
    run("cryptsetup luksDump -q --dump-volume-key --key-file - --volume-key-file /tmp/" + name + " /dev/" + name,
        b"secret")
    return Path("/tmp", name).read_bytes().hex()

def map_it(name):
    run(f"cryptsetup open --key-file - /dev/{{name}} v{{name}}", b"secret")

def churn():
    "Use up all memory for files, three times, while the volumes are written to."
    for _ in range(3):
        run("yes churn | head -c 250M > /tmp/churn; cat /usr/lib/x86_64-linux-gnu/*.so* /tmp/churn > /dev/null; "
            "for v in /dev/mapper/v*; do head -c 4M /tmp/churn > $v; done; sync; rm /tmp/churn")

def search(names):
    header = {{name: inspect(open_raw(Path("/dev", name))).require_header() for name in names}}
    image = open_memory(Path("/proc/kcore"))
    hits = list(find_schedules(image))
    found = {{}}
    for name, h in header.items():
        size = len(Path("/tmp", name).read_bytes())
        by_digest = first_proven(candidate_keys(hits, size, h.encryption), digest_proof(list(h.digests.values())))
        found[name] = by_digest and [by_digest.key.reveal().hex(), by_digest.why.split(":")[0]]
    return {{"found": found, "schedules": len(hits), "ram": image.size_bytes, "unreadable": image.unreadable_bytes}}

def prove_by_data(name, other):
    "The key of a mapping whose header is gone, proven by its data; and that of another device is not."
    h = inspect(open_raw(Path("/dev", name))).require_header()
    run(f"dd if=/dev/urandom of=/dev/mapper/v{{name}} bs=1M count=2 oflag=direct status=none; "
        f"dd if=/dev/zero of=/dev/{{name}} bs=1M count=4 conv=fsync status=none")
    clear = read_uncached(f"/dev/mapper/v{{name}}", 1 << 20, 1 << 16).data
    hits = list(find_schedules(open_memory(Path("/proc/kcore"))))
    keys = []
    for device in (name, other):
        cipher = read_uncached(f"/dev/{{device}}", h.data_offset + (1 << 20), 1 << 16).data
        proof = data_proof([Sample(2048, cipher, clear)], h.encryption, sector_size=h.sector_size)
        got = first_proven(candidate_keys(hits, len(Path("/tmp", name).read_bytes()), h.encryption), proof)
        keys.append(got and got.key.reveal().hex())
    return keys
"""


def disks(folder: Path) -> list[Path]:
    made = [folder / f"{name}.img" for name in VOLUMES]
    for path in made:
        with path.open("wb") as out:
            out.truncate(32 << 20)
    return made


def search_dump(path: Path, images: list[Path]) -> tuple[dict[str, str | None], list[ScheduleHit]]:
    """The proven keys of the volumes on the host's side, and all schedules."""
    hits = list(find_schedules(open_memory(path)))
    found: dict[str, str | None] = {}
    for image, options in zip(images, VOLUMES.values()):
        header = inspect(open_raw(image)).require_header()
        digests: list[Digest] = list(header.digests.values())
        size = int(options.split("-s ")[1].split()[0]) // 8
        proven = first_proven(candidate_keys(hits, size, header.encryption), digest_proof(digests))
        found[image.stem] = proven.key.reveal().hex() if proven else None
    return found, hits


@pytest.mark.parametrize("kernel", KERNELS)
def test_each_volume_gets_its_own_key_until_it_is_suspended_or_closed(
    kernel: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    vm: Any = request.getfixturevalue(kernel)
    images = disks(tmp_path)
    program = (
        GUEST
        + """
keys = {name: make(name) for name in VOLUMES}
for name in VOLUMES: map_it(name)
churn()
run("vm-dump .open >&2")
open_all = search(VOLUMES)
run("cryptsetup luksSuspend vvda; vm-dump .suspended >&2")
suspended = search(VOLUMES)
run("for v in vda vdb vdc vdd; do cryptsetup close v$v; done; vm-dump .closed >&2")
closed = search(VOLUMES)
print(json.dumps([keys, open_all, suspended, closed]))
"""
    )
    dump = tmp_path / "memory"
    keys, mapped, suspended, closed = vm.python(
        program, disks=images, options=[*MEMORY, "--memory-dump", str(dump)], timeout=SECONDS
    )

    assert {name: found[0] for name, found in mapped["found"].items()} == keys
    assert {name: found[1] for name, found in mapped["found"].items()} == {
        "vda": "an aesni context",
        "vdb": "an aesni context",
        "vdc": "a key schedule at " + mapped["found"]["vdc"][1].rpartition(" ")[2],
        "vdd": "an aesni context",
    }
    assert mapped["schedules"] == 8  # three pairs, the CBC key, and the key of its ESSIV
    assert mapped["ram"] > 600 << 20 and mapped["unreadable"] == 0

    assert suspended["found"]["vda"] is None
    assert {name: found and found[0] for name, found in suspended["found"].items()} == keys | {"vda": None}
    assert closed["schedules"] == 0 and not any(closed["found"].values())

    found, hits = search_dump(Path(f"{dump}.open"), images)
    assert found == keys and len(hits) == 8
    # (dm-crypt puts a random key in the place of the one that it wipes, so the number of schedules stays.)
    found, hits = search_dump(Path(f"{dump}.suspended"), images)
    assert len(hits) == 8 and found == keys | {"vda": None}
    assert search_dump(Path(f"{dump}.closed"), images)[1] == []


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_key_is_proven_by_the_mapping_when_the_header_is_gone(
    kernel: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    vm: Any = request.getfixturevalue(kernel)
    program = (
        GUEST
        + """
keys = {name: make(name) for name in VOLUMES}
for name in VOLUMES: map_it(name)
others = dict(zip(VOLUMES, [*list(VOLUMES)[1:], "vda"]))
print(json.dumps([keys, {name: prove_by_data(name, others[name]) for name in VOLUMES}]))
"""
    )
    keys, proven = vm.python(program, disks=disks(tmp_path), options=MEMORY, timeout=SECONDS)
    assert proven == {name: [key, None] for name, key in keys.items()}


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_key_is_found_with_the_generic_driver_and_a_kernel_at_a_random_address(
    kernel: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    vm: Any = request.getfixturevalue(kernel)
    program = (
        GUEST
        + """
run("rmmod aesni_intel; find /lib/modules -name 'aesni*' -delete")  # or the kernel loads it again
keys = {name: make(name) for name in VOLUMES}
for name in VOLUMES: map_it(name)
print(json.dumps([keys, search(VOLUMES), run("cat /proc/crypto").decode()]))
"""
    )
    keys, mapped, crypto = vm.python(program, disks=disks(tmp_path), options=[*MEMORY, "--kaslr"], timeout=SECONDS)
    assert "xts(ecb(aes-generic))" in crypto
    assert {name: found[0] for name, found in mapped["found"].items()} == keys
    assert mapped["found"]["vda"][1] == "two key schedules"


def test_lockdown_is_explained(vm: Any, vm_newer_kernel: Any) -> None:
    program = """
import json
from pathlib import Path
from luksafe.errors import LuksafeError
from luksafe.memory.detect import open_memory
said = []
for path in ("/proc/kcore", "/dev/mem"):
    try: said.append([open_memory(Path(path)).kind, ""])
    except LuksafeError as error: said.append([str(error), error.hint])
print(json.dumps(said))
"""
    before = "mount -t securityfs none /sys/kernel/security"
    for machine in (vm, vm_newer_kernel):
        said = machine.python(program, before=before, options=["--append", "lockdown=confidentiality"])
        assert "confidentiality" in said[0][0] and "hypervisor" in said[0][1]
        assert "confidentiality" in said[1][0]
        said = machine.python(program, before=before, options=["--append", "lockdown=integrity"])
        assert said[0][0] == "kcore"
        said = machine.python(program, before=before)
        assert said[0][0] == "kcore" and "STRICT_DEVMEM" in said[1][0] and "/proc/kcore" in said[1][1]


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("kernel", KERNELS)
def test_a_hibernated_machine_leaves_its_keys_in_swap(
    kernel: str, compressed: bool, request: pytest.FixtureRequest, tmp_path: Path, vm_disk: Path
) -> None:
    vm: Any = request.getfixturevalue(kernel)
    swap, key = tmp_path / "swap.img", vm.share / "hibernated.key"
    with swap.open("wb") as out:
        out.truncate(600 << 20)
    key.unlink(missing_ok=True)
    script = """
printf secret | cryptsetup luksFormat -q --pbkdf pbkdf2 --pbkdf-force-iterations 1000 /dev/vda -
printf secret | cryptsetup open --key-file - /dev/vda mapped
printf secret | cryptsetup luksDump -q --dump-volume-key --volume-key-file /share/hibernated.key --key-file - /dev/vda
modprobe lzo || true
mkswap /dev/vdb; swapon /dev/vdb; cat /sys/class/block/vdb/dev > /sys/power/resume
echo shutdown > /sys/power/disk; sync; echo disk > /sys/power/state; echo it did not power off
"""
    options = ["--memory", "512", "--append", "" if compressed else "hibernate=nocompress"]
    with pytest.raises(AssertionError, match="the machine ended before the command did"):
        vm.sh(script, disks=[vm_disk, swap], options=options)

    image = open_memory(swap)
    header = inspect(open_raw(vm_disk)).require_header()
    candidates = candidate_keys(find_schedules(image), 64, header.encryption)
    proven = first_proven(candidates, digest_proof(list(header.digests.values())))
    assert image.kind == "hibernation" and image.unreadable_bytes == 0
    assert proven and proven.key.reveal() == key.read_bytes()

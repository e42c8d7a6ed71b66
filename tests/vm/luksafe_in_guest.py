"""What runs inside the guest of the virtual machine: volumes that lose their headers while they are open."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from luksafe.cli.app import App
from luksafe.cli.main import main
from luksafe.memory.detect import open_memory

OLD, NEW = Path("/tmp/old"), Path("/tmp/new")
VAULT = "/tmp/vault"
CHEAP = "--pbkdf pbkdf2 --pbkdf-force-iterations 1000"
MOUNT = Path("/tmp/mount")
WRITES = Path("/tmp/writes")
"""A line for each time that a file was written to the mounted volume and synced."""


def run(command: str, *, check: bool = True) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert done.returncode == 0 or not check, f"{command}\n{done.stdout}\n{done.stderr}"
    return done


def luksafe(*arguments: str) -> dict[str, Any]:
    """Run a verb in this process (starting Python takes long under emulation): status, JSON, errors."""
    App._current = None
    out, err = io.StringIO(), io.StringIO()
    status = 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main(["--vault", VAULT, *arguments])
        except SystemExit as leave:
            status = int(leave.code or 0)
    text = out.getvalue()
    return {"status": status, "json": json.loads(text) if text.startswith("{") else None, "out": text + err.getvalue()}


def set_up() -> None:
    run("modprobe dm-crypt; modprobe loop")
    OLD.write_bytes(b"old passphrase")
    NEW.write_bytes(b"new passphrase")
    MOUNT.mkdir(exist_ok=True)


def place(kind: str) -> str:
    """The device to format: a whole disk, a partition of it, or a logical volume on it."""
    run("wipefs -aq /dev/vda; dd if=/dev/zero of=/dev/vda bs=1M count=20 conv=fsync status=none")
    if kind == "partition":
        run("printf 'label: gpt\\nstart=2048\\n' | sfdisk -q --wipe always /dev/vda; udevadm settle || true")
        run("partx -u /dev/vda || true; test -b /dev/vda1")
        return "/dev/vda1"
    if kind == "lvm":
        run("pvcreate -qy /dev/vda; vgcreate -q vg /dev/vda; lvcreate -qy -Zn -n lv -l 100%FREE vg; vgmknodes")
        return "/dev/mapper/vg-lv"
    return "/dev/vda"


def remove_place(kind: str) -> None:
    if kind == "lvm":
        run("vgremove -qfy vg; pvremove -qfy /dev/vda")
    if kind == "partition":
        run("sfdisk -q --delete /dev/vda; partx -d /dev/vda || true")


def damage(kind: str, device: str, size: int) -> None:
    """What befalls the header area of ``size`` bytes; with tools that refuse an open device, by way of a file."""
    if kind == "zeros":
        run(f"dd if=/dev/zero of={device} bs=64K count={size // 65536} conv=fsync status=none")
        return
    image = Path("/tmp/culprit.img")
    image.unlink(missing_ok=True)
    with image.open("wb") as out:
        out.truncate(64 << 20)
    if kind == "vfat":
        run(f"mkfs.vfat {image}")
    else:
        run(f"cryptsetup luksFormat -q {CHEAP} {image} {OLD}")
    run(f"dd if={image} of={device} bs=64K count={size // 65536} conv=fsync,notrunc status=none")


@contextlib.contextmanager
def being_written_to() -> Iterator[None]:
    """Somebody writes to the mounted volume all the time."""
    WRITES.write_text("")
    write = f"dd if=/dev/urandom of={MOUNT}/busy bs=64K count=8 conv=fsync status=none && echo written >> {WRITES}"
    loop = f"while :; do {write}; done"
    writer = subprocess.Popen(["bash", "-c", loop], start_new_session=True)
    try:
        yield
    finally:
        os.killpg(writer.pid, 9)
        writer.wait()


def fill() -> dict[str, str]:
    """Files and their hashes."""
    hashes = {}
    for number in range(12):
        data = os.urandom(40_000 * (number + 1))
        (MOUNT / f"file{number}").write_bytes(data)
        hashes[f"file{number}"] = hashlib.sha256(data).hexdigest()
    run("sync")
    return hashes


def read_hashes() -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in MOUNT.glob("file*")}


def lose_and_rebuild(
    *,
    on: str,
    format: str,
    by: str,
    open_options: str = "",
    detached: bool = False,
    before: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Format, open, mount, lose the header, rebuild it while it is written to, close, open with the new passphrase."""
    device = place(on)
    header = "--header /tmp/header" if detached else ""
    run(f"rm -f /tmp/header /tmp/new-header; cryptsetup luksFormat -q {CHEAP} {format} {header} {device} {OLD}")
    if before:
        before(device)
    run(f"cryptsetup open {open_options} {header} --key-file {OLD} {device} home")
    run(f"mkfs.ext4 -q /dev/mapper/home && mount /dev/mapper/home {MOUNT}")
    hashes = fill()
    first = int(run("dmsetup table home").stdout.split()[7]) * 512
    uuid = run(f"cryptsetup luksUUID {'/tmp/header' if detached else device}").stdout.strip()
    if detached:
        run("rm /tmp/header")
    else:
        damage(by, device, first)
    state = luksafe("mappings", "home", "--json")["json"]["mappings"][0]["header"]["state"]
    target = ["--to", "/tmp/new-header"] if detached else ["--yes"]
    started = time.monotonic()
    with being_written_to():
        options = ["--from-mapping", "home", "--new-key-file", str(NEW), *CHEAP.split(), *target, "--json"]
        done = luksafe("rebuild", device, *options)
    seconds = round(time.monotonic() - started, 1)
    run(f"umount {MOUNT}; cryptsetup close home")
    result = {"status": done["status"], "header_was": state, "seconds": seconds, "uuid_kept": None}
    result["writes"] = len(WRITES.read_text().splitlines())
    result["kernel"] = os.uname().release
    if done["status"] == 0:
        header = "--header /tmp/new-header" if detached else ""
        uuid_now = run(f"cryptsetup luksUUID {'/tmp/new-header' if detached else device}").stdout.strip()
        result["uuid_kept"] = uuid_now == uuid
        result["proofs"] = [proof["by"] for proof in done["json"]["proofs"]]
        result["key"] = "table" if "table" in done["json"]["key"] else "memory"
        run(f"cryptsetup open {header} --key-file {NEW} {device} home")
        result["fsck"] = run("fsck.ext4 -fn /dev/mapper/home", check=False).returncode
        run(f"mount -o ro /dev/mapper/home {MOUNT}")
        result["identical"] = read_hashes() == hashes
        run(f"umount {MOUNT}; cryptsetup close home")
        result["old_passphrase"] = run(
            f"cryptsetup open --test-passphrase {header} --key-file {OLD} {device}", check=False
        ).returncode
    else:
        result["error"] = done["out"][-800:]
    remove_place(on)
    return result


MARK = b"luksafe, a page that nobody has used since".ljust(64, b".")
PAGE = 4096


def leave_marked_pages() -> int:
    """Fill two thirds of the free memory with pages that begin with a mark, and free it; gives how many stand there."""
    fill = "import mmap, sys\nkept = mmap.mmap(-1, int(sys.argv[1]))\nfor at in range(0, len(kept), 4096): "
    fill += f"kept[at:at + {len(MARK)}] = {MARK!r}"
    free = int(run("awk '/MemFree/ {print $2}' /proc/meminfo").stdout) * 1024
    done = subprocess.run(["python3", "-S", "-c", fill, str(free * 2 // 3 // PAGE * PAGE)])
    assert done.returncode == 0
    return marked_pages()


def marked_pages() -> int:
    """How many pages of RAM still begin with the mark, by /proc/kcore."""
    import numpy as np

    image, buffer = open_memory(Path("/proc/kcore")), bytearray(1 << 20)
    pages = np.frombuffer(buffer, "<u8").reshape(-1, PAGE // 8)[:, : len(MARK) // 8]
    mark, count = np.frombuffer(MARK, "<u8"), 0
    for at in range(0, image.size_bytes, len(buffer)):
        image.read_into(at, memoryview(buffer))
        count += int((pages == mark).all(axis=1).sum())
    buffer[:] = bytes(len(buffer))
    return count


def memory_counters() -> dict[str, int]:
    """Pages since the machine started: given out, taken back from files and processes, swapped out and in."""
    lines = [line.split() for line in Path("/proc/vmstat").read_text().splitlines()]
    kinds = {
        "given": "pgalloc_",
        "reclaimed": "pgsteal_anon pgsteal_file",
        "swapped_out": "pswpout",
        "swapped_in": "pswpin",
    }
    named = {name: int(value) for name, value in lines}
    return {
        kind: sum(n for name, n in named.items() if any(name.startswith(start) for start in starts.split()))
        for kind, starts in kinds.items()
    }


def churn(times: int, swap: str) -> dict[str, Any]:
    """What hours of work do to memory, until all of it was given out so many times, and how much that was: processes
    that need more than there is, so that others are swapped out and in, processes that come and go, files that push
    each other out of the cache, caches of the kernel that are dropped."""
    run(f"mkswap {swap}; swapon {swap}; echo 100 > /proc/sys/vm/swappiness")
    total = int(run("awk '/MemTotal/ {print $2}' /proc/meminfo").stdout) * 1024
    before, marked, rounds = memory_counters(), leave_marked_pages(), 0

    def spent() -> dict[str, int]:
        return {name: count - before[name] for name, count in memory_counters().items()}

    hog = "import mmap, os, sys\nkept = [mmap.mmap(-1, 1 << 22) for _ in range(int(sys.argv[1]) >> 22)]\n"
    hog += "for each in kept: each[:] = os.urandom(4096) * 1024\nfor each in kept: each[::4096]"
    come_and_go = "import mmap, sys\nfor _ in range(8):\n    kept = mmap.mmap(-1, int(sys.argv[1]))\n"
    come_and_go += "    for at in range(0, len(kept), 4096): kept[at] = 1\n    kept.close()"
    while spent()["given"] * PAGE < times * total:
        hogs = [subprocess.Popen(["python3", "-S", "-c", hog, str(total * 11 // 20)]) for _ in range(2)]
        run("yes churn | head -c 120M > /tmp/churn; cat /usr/lib/x86_64-linux-gnu/*.so* /tmp/churn > /dev/null")
        run(f"for m in {MOUNT}?; do head -c 2M /dev/urandom > $m/busy; done; sync")
        run("for i in 1 2 3 4 5 6 7 8 9 10; do /bin/true; done; rm /tmp/churn; echo 2 > /proc/sys/vm/drop_caches")
        assert [each.wait() for each in hogs] == [0, 0]
        assert subprocess.run(["python3", "-S", "-c", come_and_go, str(total // 2)]).returncode == 0
        rounds += 1
    run(f"swapoff {swap}")
    counts = spent()
    return {
        "rounds": rounds,
        "pages": total // PAGE,
        "reused": round(counts["given"] * PAGE / total, 1),
        **counts,
        "marked_before": marked,
        "marked_after": marked_pages(),
    }


def several_volumes(formats: dict[str, str], times: int, swap: str) -> dict[str, Any]:
    """Volumes that are open and mounted at once lose their headers after a time of load; each is rebuilt in turn."""
    keys, hashes, result = {}, {}, {"kernel": os.uname().release}
    for name, format in formats.items():
        mount, device = Path(f"{MOUNT}{name[-1]}"), f"/dev/{name}"
        mount.mkdir()
        run(
            f"cryptsetup luksFormat -q {CHEAP} {format} {device} {OLD}; "
            f"cryptsetup open --key-file {OLD} {device} {name}; "
            f"cryptsetup luksDump -q --dump-volume-key --volume-key-file /tmp/vk-{name} --key-file {OLD} {device}; "
            f"mkfs.ext4 -q /dev/mapper/{name}; mount /dev/mapper/{name} {mount}"
        )
        data = os.urandom(2_000_000)
        (mount / "file").write_bytes(data)
        keys[name], hashes[name] = Path(f"/tmp/vk-{name}").read_bytes().hex(), hashlib.sha256(data).hexdigest()
        run(f"rm /tmp/vk-{name}")
    result["churn"] = churn(times, swap)
    for name in formats:
        assert luksafe("backup", f"/dev/{name}")["status"] == 0
        run(f"dd if=/dev/zero of=/dev/{name} bs=1M count=16 conv=fsync status=none")
    run("mkdir /tmp/hidden && mv /tmp/vault /tmp/hidden; sync; vm-dump >&2")
    result["keys"] = keys
    for name in formats:
        mapping = ["--from-mapping", name, "--new-key-file", str(NEW), *CHEAP.split(), "--yes", "--json"]
        done = luksafe("rebuild", f"/dev/{name}", *mapping)
        row: dict[str, Any] = {"status": done["status"], "out": done["out"][-600:]}
        run(f"umount {MOUNT}{name[-1]}; cryptsetup close {name}")
        if done["status"] == 0:
            run(f"cryptsetup open --key-file {NEW} /dev/{name} {name}")
            row["fsck"] = run(f"fsck.ext4 -fn /dev/mapper/{name}", check=False).returncode
            run(f"mount -o ro /dev/mapper/{name} {MOUNT}{name[-1]}")
            data = Path(f"{MOUNT}{name[-1]}/file").read_bytes()
            row["identical"] = hashlib.sha256(data).hexdigest() == hashes[name]
            run(f"cryptsetup luksDump -q --dump-volume-key --volume-key-file /tmp/vk --key-file {NEW} /dev/{name}")
            found = Path("/tmp/vk").read_bytes().hex()
            run("rm /tmp/vk")
            row["own_key"] = found == keys[name]
            row["proofs"] = [proof["by"] for proof in done["json"]["proofs"]]
        result[name] = row
    run("cp -r /tmp/hidden/vault /share/vault-of-several")
    return result

"""A backup while cryptsetup changes the same header: what is stored opens with a passphrase the device had just then.

The second writer is let loose at every read of the device in turn, and at random in the races. The races are many and
slow: pytest -m slow tests/cli/test_second_writer.py (LUKSAFE_RACES says how many, 1,000 if nothing is said).
"""

from __future__ import annotations

import gzip
import os
import random
import shutil
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from luksafe.device import source
from luksafe.device.source import DeviceReader
from luksafe.errors import KeyRejected
from luksafe.luks.inspection import inspect
from luksafe.luks.unlock import unlock
from luksafe.ops import backup
from luksafe.reader import BytesReader
from luksafe.secret import SecretBytes

pytestmark = pytest.mark.skipif(shutil.which("cryptsetup") is None, reason="cryptsetup is not installed")
CHEAP = ("-q", "--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000")
RACES = int(os.environ.get("LUKSAFE_RACES", "1000"))


def cryptsetup(*arguments: object, options: tuple[str, ...] = CHEAP) -> None:
    subprocess.run(["cryptsetup", *options, *map(str, arguments)], check=True, capture_output=True)


def opens(image: bytes, passphrase: bytes) -> bool:
    reader = BytesReader(image)
    try:
        unlock(reader, inspect(reader).require_header(), SecretBytes(passphrase)).volume_key.wipe()
    except KeyRejected:
        return False
    return True


@pytest.fixture(params=["luks1", "luks2", "luks1-full"])
def volume(request, world) -> Path:
    """On a file; of ``luks1-full`` every keyslot is in use, so that a changed key takes the place of the old one."""
    disk = world.folder / "disk.img"
    with disk.open("wb") as out:
        out.truncate(24 << 20)
    (world.folder / "key0").write_bytes(b"p0")
    cryptsetup("luksFormat", "--type", request.param[:5], disk, "key0")
    for slot in range(1, 8) if request.param == "luks1-full" else ():
        (world.folder / f"other{slot}").write_bytes(b"other%d" % slot)
        cryptsetup("luksAddKey", "--key-file", "key0", disk, f"other{slot}")
    return disk


@pytest.fixture(params=["file", pytest.param("loop", marks=pytest.mark.slow)])
def device(request, volume) -> str:
    return str(volume) if request.param == "file" else request.getfixturevalue("loop_device")(volume)


def image_of(world, backup_id: str) -> bytes:
    [packed] = Path(world.vault).glob(f"*/{backup_id}.hdr.gz")
    return gzip.decompress(packed.read_bytes())


class Writer:
    """A ``luksChangeKey`` from ``p0`` to ``p1``; the reader waits for it, but no longer than a lock would keep it."""

    def __init__(self, device: str) -> None:
        self.process = subprocess.Popen(["cryptsetup", *CHEAP, "luksChangeKey", "--key-file", "key0", device, "key1"])
        with suppress(subprocess.TimeoutExpired):  # it waits for our lock, as it should
            self.process.wait(0.5)


def reads_of(monkeypatch: pytest.MonkeyPatch, act: Callable[[], None], number: int) -> Iterator[int]:
    """Calls ``act`` before the ``number``-th read of a device."""
    counter = iter(range(1, 10**6))
    real = DeviceReader.read_at

    def read_at(reader: DeviceReader, offset: int, length: int) -> bytes:
        if next(counter) == number:
            act()
        return real(reader, offset, length)

    monkeypatch.setattr(source.DeviceReader, "read_at", read_at)
    yield number
    monkeypatch.setattr(source.DeviceReader, "read_at", real)


@pytest.mark.parametrize("number", range(1, 12))
def test_a_key_changed_at_any_read_leaves_a_backup_that_opens(world, device, monkeypatch, number):
    (world.folder / "key1").write_bytes(b"p1")
    writers: list[Writer] = []
    for _ in reads_of(monkeypatch, lambda: writers.append(Writer(device)), number):
        ran = world.run("backup", device, "--json")
    for writer in writers:
        assert writer.process.wait(20) == 0
    assert ran.status == 0, ran.err
    report = ran.json["backups"][0]
    image = image_of(world, report["id"])
    assert opens(image, b"p0") or opens(image, b"p1")
    is_luks1 = inspect(BytesReader(image)).format == "luks1"
    assert (report["lock"] == "held") is not is_luks1


def test_a_key_changed_before_the_capture_leaves_a_backup_that_opens(world, device, monkeypatch):
    (world.folder / "key1").write_bytes(b"p1")
    real, writers = backup.capture, []

    def late(*arguments, **options):
        writers.append(Writer(device))
        return real(*arguments, **options)

    monkeypatch.setattr(backup, "capture", late)
    ran = world.run("backup", device, "--json")
    assert writers[0].process.wait(20) == 0
    image = image_of(world, ran.json["backups"][0]["id"])
    assert opens(image, b"p0") or opens(image, b"p1")


def test_a_header_that_never_keeps_still_is_said_to_be_so(world, device, monkeypatch):
    """Bounded: no endless loop, no backup of two moments, and nothing in the vault."""
    real, turn = DeviceReader.read_at, iter(range(10**6))

    def restless(reader: DeviceReader, offset: int, length: int) -> bytes:
        raw = bytearray(real(reader, offset, length))
        if offset == 0 and len(raw) >= 592:
            raw[300:304] = next(turn).to_bytes(4, "big")
        return bytes(raw)

    monkeypatch.setattr(DeviceReader, "read_at", restless)
    began = time.monotonic()
    ran = world.run("backup", device, "--json")
    assert (ran.status, ran.json["error"]["code"]) == (16, "header-changes")
    assert "kept changing while it was read" in ran.err
    assert time.monotonic() - began < 30


def test_nobody_waits_for_luksafe_while_it_asks_or_computes(world, volume, monkeypatch):
    """prove has read all that it needs when it begins with the keyslots: a writer gets through at once."""
    from luksafe.ops import proof

    (world.folder / "key1").write_bytes(b"p1")
    real, writers = proof.open_digests, []

    def slow(*arguments, **options):
        writers.append(Writer(str(volume)))
        return real(*arguments, **options)

    monkeypatch.setattr(proof, "open_digests", slow)
    ran = world.run("prove", volume, "--key-file", world.folder / "key0")
    assert writers[0].process.returncode == 0
    assert ran.status == 0, ran.err  # the header of one moment, whose passphrase was p0 then


class Changer(threading.Thread):
    """Changes and adds keys until it is told to stop; ``passphrases`` are all that ever opened the device."""

    def __init__(self, device: str, folder: Path, *, can_add: bool) -> None:
        super().__init__()
        self.device, self.folder, self.can_add = device, folder, can_add
        self.passphrases = [b"p0"]
        self.is_over, self.pause = threading.Event(), threading.Event()
        self.changes = 0
        self.problem: Exception | None = None

    def run(self) -> None:
        try:
            while not self.is_over.is_set():
                self.change()
        except Exception as problem:
            self.problem = problem

    def change(self) -> None:
        new = b"p%d" % len(self.passphrases)
        (self.folder / "new").write_bytes(new)
        (self.folder / "now").write_bytes(self.passphrases[-1])
        self.passphrases.append(new)
        if self.can_add and random.random() < 0.4:
            cryptsetup("luksAddKey", "--key-file", self.folder / "now", self.device, self.folder / "new")
            cryptsetup("luksRemoveKey", self.device, self.folder / "now", options=("-q",))
        else:
            cryptsetup("luksChangeKey", "--key-file", self.folder / "now", self.device, self.folder / "new")
        self.changes += 1
        time.sleep(random.random() * 0.02)


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_a_thousand_races_with_another_writer(world, device, volume, request, record_property):
    """Every stored backup opens with a passphrase that the device had at that moment, and held is said where it was."""
    is_full = "luks1-full" in request.node.callspec.id
    changer = Changer(device, world.folder, can_add=not is_full)
    # to change a key in place, cryptsetup first removes the keyslot: for that moment only the others open the device
    others = [b"other1"] if is_full else []
    seen: Counter[str] = Counter()
    known: set[str] = set()
    bad = []
    changer.start()
    try:
        for _ in range(RACES):
            first = len(changer.passphrases) - 1
            ran = world.run("backup", device, "--json")
            if ran.status == 16:
                seen["busy"] += 1
                continue
            assert ran.status in (0, 3), ran.err
            report = ran.json["backups"][0]
            image = image_of(world, report["id"])
            if report["id"] not in known and not any(
                opens(image, each) for each in [*reversed(changer.passphrases[max(0, first - 1) :]), *others]
            ):
                bad.append(report["id"])
            known.add(report["id"])
            seen["opens"] += report["id"] not in bad
            seen["lock held" if report["lock"] == "held" else "lock not held"] += 1
            assert (report["lock"] == "held") is (inspect(BytesReader(image)).format == "luks2")
    finally:
        changer.is_over.set()
        changer.join(60)
    print(f"{request.node.callspec.id}: {dict(seen)}, {len(known)} different, {changer.changes} changes")
    record_property(
        "races", f"{request.node.callspec.id}: {dict(seen)}, {len(known)} different, {changer.changes} changes"
    )
    assert changer.problem is None
    assert not bad
    assert seen["opens"] + seen["busy"] == RACES

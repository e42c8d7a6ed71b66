"""Backups of a real block device while cryptsetup changes and adds keys: each opens with a passphrase of that moment.

Slow, for the machine is emulated: LUKSAFE_RACES says how many, 1,000 if nothing is said.
Run it with: pytest -m vm tests/vm/test_second_writer.py
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.vm, pytest.mark.slow]
RACES = int(os.environ.get("LUKSAFE_RACES", "1000"))
SECONDS = 20 * RACES + 900

RACE = """
import collections, contextlib, glob, gzip, io, json, os, random, subprocess, sys, threading, time
from luksafe.cli.app import App
from luksafe.cli.main import main
from luksafe.errors import KeyRejected
from luksafe.luks.inspection import inspect
from luksafe.luks.unlock import unlock
from luksafe.reader import BytesReader
from luksafe.secret import SecretBytes

races, device = RACES, "/dev/vda"
CHEAP = ["--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000"]
os.chdir("/tmp")
passphrases, changes, problems, over = [b"p0"], [0], [], threading.Event()


def cryptsetup(*arguments):
    done = subprocess.run(["cryptsetup", "-q", *arguments], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{arguments}: {done.stderr}")


def change():
    new = b"p%d" % len(passphrases)
    open("new", "wb").write(new)
    open("now", "wb").write(passphrases[-1])
    passphrases.append(new)
    if random.random() < 0.4:
        cryptsetup("luksAddKey", *CHEAP, "--key-file", "now", device, "new")
        cryptsetup("luksRemoveKey", device, "now")
    else:
        cryptsetup("luksChangeKey", *CHEAP, "--key-file", "now", device, "new")
    changes[0] += 1


def changing():
    try:
        while not over.is_set():
            change()
            time.sleep(random.random() * 0.05)
    except Exception as problem:
        problems.append(str(problem))


def opens(image, passphrase):
    reader = BytesReader(image)
    try:
        unlock(reader, inspect(reader).require_header(), SecretBytes(passphrase)).volume_key.wipe()
    except KeyRejected:
        return False
    return True


def backup():
    App._current = None
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main(["--vault", "/tmp/vault", "backup", device, "--json"])
        except SystemExit as leave:
            return int(leave.code or 0), out.getvalue(), err.getvalue()


def race(seen, known):
    first = len(passphrases) - 1
    status, out, err = backup()
    if status == 16:
        seen["busy"] += 1
        return
    assert status in (0, 3), err
    report = json.loads(out)["backups"][0]
    seen["lock " + ("held" if report["lock"] == "held" else "not held")] += 1
    if report["id"] not in known:
        image = gzip.decompress(open(glob.glob(f"/tmp/vault/*/{report['id']}.hdr.gz")[0], "rb").read())
        known[report["id"]] = any(opens(image, each) for each in reversed(passphrases[max(0, first - 1):]))
    seen["opens" if known[report["id"]] else "CLOSED"] += 1


seen, known = collections.Counter(), {}
writer = threading.Thread(target=changing)
writer.start()
try:
    for number in range(races):
        race(seen, known)
        if number % 10 == 9:
            print(number + 1, {**seen}, changes[0], file=open("/share/races.log", "a"))
finally:
    over.set()
    writer.join(120)
print(json.dumps({**seen, "different": len(known), "changes": changes[0], "problems": problems}))
"""


@pytest.mark.parametrize("kind", ["luks2", "luks1"])
@pytest.mark.timeout(SECONDS + 60)
def test_a_thousand_races_on_a_block_device(vm: Any, vm_disk: Path, kind: str, record_property: Any) -> None:
    seen = vm.python(
        f"RACES = {RACES}\n{RACE}",
        before=f"""
printf p0 > /tmp/key
cryptsetup luksFormat -q --pbkdf pbkdf2 --pbkdf-force-iterations 1000 --type {kind} /dev/vda /tmp/key
""",
        disks=[vm_disk],
        timeout=SECONDS,
    )
    print(kind, seen)
    record_property("races", f"vm {kind}: {seen}")
    assert seen["problems"] == []
    assert seen.get("CLOSED", 0) == 0
    assert seen.get("opens", 0) + seen.get("busy", 0) == RACES
    assert seen["changes"] > RACES // 20
    assert seen.get("lock held" if kind == "luks1" else "lock not held", 0) == 0

"""Cut off at every write that cryptsetup makes to the header: alone, or with luksafe and its watcher (a power cut)."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import escrow_samples as samples
import pytest
from faults.escrow.test_enrolment import ADDRESS, assert_as_before, disk, enrol, unfinished, workspace
from generators.headers import PASSPHRASE

from luksafe import programs
from luksafe.errors import LuksafeError
from luksafe.escrow.packet import open_packet
from luksafe.escrow.recipients.age import AgeIdentity
from luksafe.ops.escrow.found import packets_in_vault
from luksafe.ops.escrow.keyslots import look_live
from luksafe.ops.escrow.verify import verify_opened
from luksafe.ops.target import open_target
from luksafe.ops.workspace import Workspace

__all__ = ["disk", "workspace"]
pytestmark = [
    pytest.mark.skipif(None in map(shutil.which, ("cryptsetup", "strace")), reason="needs cryptsetup and strace"),
    pytest.mark.slow,
    pytest.mark.timeout(900),
]

WRITES = "write,pwrite64,writev,pwritev"
WRAPPER = """#!/bin/sh
case "$*" in
*"{verb} "*) ;;
*) exec {cryptsetup} "$@" ;;
esac
strace -f -qq -P {disk} -o {trace} -e trace={writes} -e inject={writes}:signal=KILL:when={number} {cryptsetup} "$@"
status=$?
[ $status = 0 ] || touch {hit}
[ $status = 0 ] || [ {both} = 0 ] || kill -KILL $PPID
exit $status
"""
ALONE = """
import sys
sys.path.insert(0, {tests!r})
from pathlib import Path
from faults.escrow import test_enrolment as tests
from luksafe.ops.escrow import enrolment
from luksafe.ops.workspace import Workspace
import subprocess
tests.ADDRESS = {address!r}
enrolment._start_watcher = lambda *arguments: subprocess.Popen(["true"])
tests.enrol(Workspace(Path({vault!r}), state_folder=Path({state!r})), Path({disk!r}))
"""


def cuts(disk: Path, verb: str, monkeypatch: pytest.MonkeyPatch, *, both: bool) -> Iterator[Path]:
    """For each write: a cryptsetup on the path that is killed at it; gives the file that says so, until none is hit."""
    folder = disk.parent / "bin"
    folder.mkdir()
    hit, real, before = disk.parent / "hit", shutil.which("cryptsetup"), disk.read_bytes()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setattr(programs, "ROOT_PATH", f"{folder}:{programs.ROOT_PATH}")
    for number in range(1, 60):
        hit.unlink(missing_ok=True)
        disk.write_bytes(before)
        wrapper = WRAPPER.format(
            verb=verb, cryptsetup=real, writes=WRITES, number=number, hit=hit, both=int(both), disk=disk,
            trace=disk.parent / "trace",
        )  # fmt: skip
        (folder / "cryptsetup").write_text(wrapper)
        (folder / "cryptsetup").chmod(0o755)
        yield hit
        if not hit.exists():
            assert number > 1
            return
    raise AssertionError("it never gets through")


def opens(disk: Path) -> bool:
    """With cryptsetup itself, which mends a header copy that was cut."""
    command = ["/usr/sbin/cryptsetup", "open", "--test-passphrase", "--key-file", "-", str(disk)]
    return subprocess.run(command, input=PASSPHRASE, capture_output=True).returncode == 0


VERBS = ["luksAddKey", "token import"]


@pytest.mark.parametrize("verb", VERBS)
def test_cryptsetup_is_killed_at_each_of_its_writes(
    workspace: Workspace, disk: Path, verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if verb.startswith("token") and disk.read_bytes()[7] == 1:
        pytest.skip("LUKS1 has no tokens")
    count = 0
    for hit in cuts(disk, verb, monkeypatch, both=False):
        try:
            enrol(workspace, disk)
        except LuksafeError as error:
            assert hit.exists(), error
            assert_as_before(workspace, disk)
            assert opens(disk)
            assert_as_before(workspace, disk)
            count += 1
    print(f"{verb}: killed at {count} writes")


@pytest.mark.parametrize("verb", VERBS)
def test_the_power_fails_at_each_of_the_writes(
    workspace: Workspace, disk: Path, verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if verb.startswith("token") and disk.read_bytes()[7] == 1:
        pytest.skip("LUKS1 has no tokens")
    count = 0
    script = ALONE.format(
        tests=str(Path(__file__).resolve().parents[2]), address=ADDRESS, disk=str(disk),
        vault=str(workspace.vault_home), state=str(workspace.state_folder),
    )  # fmt: skip
    for hit in cuts(disk, verb, monkeypatch, both=True):
        shutil.rmtree(workspace.vault_home, ignore_errors=True)
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        ended = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True)
        if hit.exists():
            assert ended.returncode == -signal.SIGKILL, ended.stderr
            assert opens(disk)
            assert len(unfinished(workspace)) == 1
            (disk.parent / "bin" / "cryptsetup").unlink()
            enrol(workspace, disk)
            count += 1
        assert not unfinished(workspace)
        header = look_live(disk).require_header()
        assert len(header.keyslots) == 2
        assert len(header.tokens) == (1 if header.format == "luks2" else 0)
        with open_target(workspace, str(disk)) as target:
            packets = packets_in_vault(workspace)
            assert len(packets) == 2
            for found in packets:
                contents = open_packet(found.packet, [AgeIdentity(samples.age_identity())]).contents
                assert verify_opened(contents, target).opens
    print(f"{verb}: cut at {count} writes")

"""A recovery key that fails, is interrupted or killed half way: no orphan keyslot, no packet that does not open."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import escrow_samples as samples
import pytest
from generators.headers import PASSPHRASE, UUID, VOLUME_KEY, luks1_image, luks2_image

from luksafe.errors import Busy, LuksafeError, StoreError
from luksafe.escrow.packet import open_packet
from luksafe.escrow.recipients.age import AgeIdentity, parse_recipient
from luksafe.ops.escrow import recovery
from luksafe.ops.escrow import unfinished as notes
from luksafe.ops.escrow.found import packets_in_vault
from luksafe.ops.escrow.keyslots import look_live, require_live
from luksafe.ops.escrow.recipients import SealTo
from luksafe.ops.escrow.save import SaveOrder
from luksafe.ops.escrow.verify import verify_opened
from luksafe.ops.escrow.volume import prove_volume
from luksafe.ops.target import open_target
from luksafe.ops.workspace import Workspace
from luksafe.secret import SecretBytes
from luksafe.vault.vault import Vault

pytestmark = pytest.mark.skipif(shutil.which("cryptsetup") is None, reason="cryptsetup is not installed")
STEPS = ["add_keyslot", "prove_keyslot", "add_recovery_token", "look_live", "seal_to_each", "keep"]
WHEN = ["before", "after"]
ADDRESS = str(samples.age_identity().to_public())


@pytest.fixture(params=["luks1", "luks2"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "disk.img"
    path.write_bytes((luks1_image() if request.param == "luks1" else luks2_image()) + bytes(1 << 20))
    return path


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "vault", state_folder=tmp_path / "state")


def enrol(workspace: Workspace, disk: Path, folder: Path | None = None) -> None:
    """What the verb does, without its questions; two packets, so that the second may fail."""
    groups = (SealTo((parse_recipient(ADDRESS),)), SealTo((parse_recipient(ADDRESS),)))
    with open_target(workspace, str(disk)) as target:
        volume = prove_volume(target, passphrase=SecretBytes(PASSPHRASE))
        plan = recovery.plan_recovery(workspace, volume)
        order = SaveOrder(groups, (), folder=folder)
        recovery.save_recovery_key(workspace, volume, plan, order, lambda _: None)


def assert_as_before(workspace: Workspace, disk: Path) -> None:
    header = look_live(disk).require_header()
    assert list(header.keyslots) == [0]
    assert not header.tokens
    assert not packets_in_vault(workspace)
    assert not unfinished(workspace)
    assert not list(disk.parent.glob("stick/*"))


def broken(monkeypatch: pytest.MonkeyPatch, name: str, when: str, error: BaseException) -> None:
    real: Callable[..., Any] = getattr(recovery, name)

    def step(*arguments: Any, **options: Any) -> Any:
        if when == "after":
            real(*arguments, **options)
        raise error

    monkeypatch.setattr(recovery, name, step)


def unfinished(workspace: Workspace) -> list[Any]:
    return notes.unfinished(workspace, UUID)


def finish_unfinished(workspace: Workspace, disk: Path) -> list[str]:
    with open_target(workspace, str(disk)) as target:
        return notes.finish_unfinished(workspace, require_live(target))


def applies(disk: Path, step: str) -> bool:
    return step != "add_recovery_token" or disk.read_bytes()[7] == 2


@pytest.mark.parametrize("error", [LuksafeError("it failed"), KeyboardInterrupt()], ids=["fails", "interrupted"])
@pytest.mark.parametrize("when", WHEN)
@pytest.mark.parametrize("step", STEPS)
def test_whatever_fails_all_is_taken_back(
    workspace: Workspace, disk: Path, monkeypatch: pytest.MonkeyPatch, step: str, when: str, error: BaseException
) -> None:
    if not applies(disk, step):
        pytest.skip("LUKS1 has no tokens")
    (disk.parent / "stick").mkdir()
    broken(monkeypatch, step, when, error)
    with pytest.raises(type(error)):
        enrol(workspace, disk, disk.parent / "stick")
    assert_as_before(workspace, disk)
    monkeypatch.undo()
    enrol(workspace, disk)
    assert list(look_live(disk).require_header().keyslots) == [0, 1]


def test_a_store_that_fails_at_the_second_packet_leaves_none(
    workspace: Workspace, disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Vault.add_packet
    calls = []

    def add_packet(self: Vault, *arguments: Any) -> Any:
        calls.append(1)
        if len(calls) == 2:
            raise StoreError("the disk is full")
        return real(self, *arguments)

    monkeypatch.setattr(Vault, "add_packet", add_packet)
    with pytest.raises(StoreError):
        enrol(workspace, disk)
    assert_as_before(workspace, disk)


KILLED = """
import os, signal, sys
sys.path.insert(0, {tests!r})
from pathlib import Path
from faults.escrow import test_enrolment as tests
from luksafe.ops.escrow import enrolment, recovery
from luksafe.ops.workspace import Workspace
tests.ADDRESS = {address!r}
real = getattr(recovery, {step!r})
def step(*arguments, **options):
    if {when!r} == "after":
        real(*arguments, **options)
    os.kill(os.getpid(), {signal})
    return real(*arguments, **options)
setattr(recovery, {step!r}, step)
if not {watched}:
    import subprocess
    enrolment._start_watcher = lambda *arguments: subprocess.Popen(["true"])
tests.enrol(Workspace(Path({vault!r}), state_folder=Path({state!r})), Path({disk!r}))
"""


def kill(workspace: Workspace, disk: Path, step: str, when: str, number: int, *, watched: bool = True) -> int:
    tests = Path(__file__).resolve().parent.parent.parent
    script = KILLED.format(
        tests=str(tests), address=ADDRESS, step=step, when=when, signal=int(number), watched=watched,
        vault=str(workspace.vault_home), state=str(workspace.state_folder), disk=str(disk),
    )  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run([sys.executable, "-c", script], env=environment, stderr=subprocess.DEVNULL).returncode


def test_only_one_at_a_time(workspace: Workspace, disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def again(*arguments: Any, **options: Any) -> Any:
        monkeypatch.undo()
        enrol(workspace, disk)

    monkeypatch.setattr(recovery, "seal_to_each", again)
    with pytest.raises(Busy):
        enrol(workspace, disk)
    assert_as_before(workspace, disk)


@pytest.mark.parametrize("when", WHEN)
@pytest.mark.parametrize("step", STEPS)
def test_killed_at_any_step_the_watcher_takes_it_back(workspace: Workspace, disk: Path, step: str, when: str) -> None:
    if not applies(disk, step):
        pytest.skip("LUKS1 has no tokens")
    assert kill(workspace, disk, step, when, signal.SIGKILL) == -signal.SIGKILL
    deadline = time.monotonic() + 60
    while unfinished(workspace) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert_as_before(workspace, disk)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_termination_takes_it_back_at_once(workspace: Workspace, disk: Path, number: int) -> None:
    assert kill(workspace, disk, "prove_keyslot", "after", number) not in (0, -signal.SIGKILL)
    assert_as_before(workspace, disk)


def test_after_a_power_cut_the_next_run_takes_it_back(workspace: Workspace, disk: Path) -> None:
    kill(workspace, disk, "seal_to_each", "before", signal.SIGKILL, watched=False)
    assert list(look_live(disk).require_header().keyslots) == [0, 1]
    assert len(unfinished(workspace)) == 1
    enrol(workspace, disk)
    header = look_live(disk).require_header()
    assert list(header.keyslots) == [0, 2]
    assert len(header.tokens) == (1 if header.format == "luks2" else 0)
    with open_target(workspace, str(disk)) as target:
        for found in packets_in_vault(workspace):
            contents = open_packet(found.packet, [AgeIdentity(samples.age_identity())]).contents
            assert verify_opened(contents, target).opens
    assert len(packets_in_vault(workspace)) == 2


def test_the_device_may_have_another_name_by_then(workspace: Workspace, disk: Path) -> None:
    kill(workspace, disk, "seal_to_each", "before", signal.SIGKILL, watched=False)
    moved = disk.rename(disk.with_name("sdc.img"))
    assert len(finish_unfinished(workspace, moved)) == 1
    assert_as_before(workspace, moved)


def test_a_keyslot_that_somebody_else_added_meanwhile_stays(workspace: Workspace, disk: Path) -> None:
    kill(workspace, disk, "add_keyslot", "before", signal.SIGKILL, watched=False)
    key = disk.parent / "vk"
    key.write_bytes(VOLUME_KEY)
    new = disk.parent / "new"
    new.write_bytes(b"somebody's own")
    options = [
        "--pbkdf",
        "pbkdf2",
        "--pbkdf-force-iterations",
        "1000",
        "--key-slot",
        "1",
        "--volume-key-file",
        str(key),
    ]
    subprocess.run(["cryptsetup", "luksAddKey", "-q", *options, str(disk), str(new)], check=True)
    finish_unfinished(workspace, disk)
    assert list(look_live(disk).require_header().keyslots) == [0, 1]
    assert not unfinished(workspace)


def test_an_undo_that_fails_is_said_plainly_and_tried_again(
    workspace: Workspace, disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: Any) -> None:
        raise LuksafeError("no such luck")

    broken(monkeypatch, "seal_to_each", "before", LuksafeError("the seal broke"))
    monkeypatch.setattr(notes, "kill_keyslot", fail)
    with pytest.raises(LuksafeError) as caught:
        enrol(workspace, disk)
    assert caught.value.code == "undo-failed"
    assert "the seal broke" in str(caught.value)
    assert f"cryptsetup luksKillSlot {disk} 1" in str(caught.value)
    assert len(unfinished(workspace)) == 1
    monkeypatch.undo()
    assert len(finish_unfinished(workspace, disk)) == 1
    assert_as_before(workspace, disk)

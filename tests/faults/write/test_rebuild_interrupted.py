"""A rebuild that dies or fails at every system call that writes: old, new, or undo gives the old bytes."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import escrow_samples as samples
import pytest
from cli.test_rebuild import CHEAP, NEW_PASSPHRASE, opens, volume
from faults.write.test_interrupted import FAULTS, Bench, cuts, folder, made_bench  # noqa: F401
from generators.headers import PASSPHRASE, UUID, VOLUME_KEY, luks1_image, luks2_image

from luksafe.memory.schedule import expand_key

DUMP = b"".join(expand_key(half).ljust(496, b"\0") for half in (VOLUME_KEY[32:], VOLUME_KEY[:32])).rjust(1 << 16, b"\1")


@pytest.fixture(params=["luks1", "luks2"])
def header(request: pytest.FixtureRequest) -> bytes:
    return luks1_image() if request.param == "luks1" else luks2_image()


@pytest.fixture(params=["file", pytest.param("loop", marks=pytest.mark.long)])
def bench(
    request: pytest.FixtureRequest,
    folder: Path,  # noqa: F811
    header: bytes,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Bench]:
    """A volume whose header is gone; its backup in a vault and an image of the memory with its key; a packet."""
    monkeypatch.setenv("XDG_STATE_HOME", str(folder / "state"))
    monkeypatch.chdir(folder)
    whole = volume(header)
    (folder / "memory.raw").write_bytes(DUMP)
    (folder / "new").write_bytes(NEW_PASSPHRASE)
    (folder / "old").write_bytes(PASSPHRASE)
    (folder / "identity").write_text(str(samples.age_identity()))
    (folder / "stick").mkdir()
    gone = bytes(len(header)) + whole[len(header) :]
    with made_bench(folder, request.param, gone, whole) as ready:
        yield ready


def judge(bench: Bench) -> str:
    """The state that was left, and that undo gets out of it with exactly the old bytes."""
    now = bench.bytes_now()
    state = "old" if now == bench.old else "new" if is_new(bench) else "between"
    assert now[len(now) - (1 << 20) :] == bench.old[len(now) - (1 << 20) :]  # the data are as they were
    if state == "between":
        checked = json.loads(bench.luksafe("check", bench.device, "--json")[1])
        reasons = {reason["code"] for reason in checked["volumes"][0]["reasons"]}
        assert "interrupted-write" in reasons
    if state != "old":
        status, _, err = bench.luksafe("undo", bench.device, "--yes")
        assert status == 0, err
        assert bench.bytes_now() == bench.old
    return state


def is_new(bench: Bench) -> bool:
    """Whether both passphrases open it and no header copy is damaged."""
    status, out, _ = bench.luksafe("show", bench.device, "--json")
    if status != 0 or not all(copy["valid"] for copy in json.loads(out)["copies"]):
        return False
    copy = bench.folder / "copy"
    shutil.copyfile(bench.device, copy)
    try:
        return opens(copy, NEW_PASSPHRASE) and opens(copy, PASSPHRASE)
    except Exception:
        return False


FROM_MEMORY = ("--from-memory", "memory.raw", "--uuid", UUID)
FROM_PACKET = ("--packet", "stick/packet.age", "--identity", "identity")


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("source", [FROM_MEMORY, FROM_PACKET], ids=["memory", "packet"])
def test_a_rebuild_hit_at_every_call_leaves_old_new_or_undo(
    bench: Bench, fault: str, source: tuple[str, ...], record_property: Callable[[str, object], None]
) -> None:
    """With the backup's keyslots too: the backup is in the vault that the undo goes to."""
    if source == FROM_PACKET:
        if not fault.startswith(("killed", "ENOSPC")):
            pytest.skip("what is written is the same, from wherever the key is")
        seal_a_packet(bench)
    calls: set[str] = set()
    states: Counter[str] = Counter()
    command = ("rebuild", bench.device, *source, "--new-key-file", "new", *CHEAP, "--yes")
    for call, err in cuts(bench, fault, *command, before=bench.reset):
        assert "Traceback" not in err, err
        state = judge(bench)
        assert state == "new" or fault != "short write"
        calls.add(call)
        states[state] += 1
    assert "pwrite" in calls
    assert is_new(bench)
    record_property("interruptions", bench.row(f"rebuild {source[0].lstrip('-')}", fault, states))


def seal_a_packet(bench: Bench) -> None:
    """Of the backup: the header on the device is gone."""
    to = ("--recipient", samples.age_identity().to_public(), "--output", "stick", "--key-file", "old")
    status, _, err = bench.luksafe("escrow", "save", UUID, *to)
    assert status == 0, err
    [packet] = Path("stick").glob("*.age")
    packet.rename("stick/packet.age")

"""One bad store is in the way of nobody: every verb with every file and folder of a store broken in every way.

The home and the state folder are whole. So each verb does what it does with a whole store, to the byte; only those that
judge or fill stores say that there is something wrong with this one.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import escrow_samples as samples
import pytest
from cli.conftest import Ran, World
from cli.conftest import world as world
from faults.vault.failing_folder import failing_folder
from generators.headers import UUID, luks2_image

WHOLE = luks2_image() + bytes(1 << 20)
BROKEN = bytes(4096) + WHOLE[4096:]
OLDER = luks2_image(label="older")

JUDGING = frozenset({0, 3, 10})
"""What verbs may end with that say how stores are; ``backup`` and ``forget`` are warnings where one lacks a copy."""


@dataclass(frozen=True)
class Verb:
    """A command, and the statuses that it may end with when the store is broken beside that with a whole one."""

    words: str
    also: frozenset[int] = frozenset()
    holds: bytes | None = None
    """What ``disk.img`` begins with afterwards."""


VERBS = {
    "list": Verb("list"),
    "list-uuid": Verb(f"list {UUID} --json"),
    "show": Verb("show {id}"),
    "diff": Verb("diff disk.img {id}"),
    "check": Verb("check disk.img", JUDGING),
    "prove": Verb("prove disk.img --key-file passphrase", JUDGING),
    "backup": Verb("backup disk.img", JUDGING),
    "backup-new": Verb("backup other.img", JUDGING),
    "export": Verb("export {id} exported.img"),
    "import": Verb("import older2.img", JUDGING),
    "forget": Verb("--yes forget {old}", JUDGING),
    "sync": Verb("sync", JUDGING),
    "stores": Verb("stores"),
    "stores-check": Verb("stores check", JUDGING),
    "stores-add": Verb("stores add second second"),
    "stores-remove": Verb("stores remove s0"),
    "diagnose": Verb("diagnose disk.img"),
    "diagnose-broken": Verb("diagnose broken.img"),
    "scan": Verb("scan disk.img"),
    "restore-plan": Verb(f"restore {UUID} broken.img --dry-run"),
    "restore": Verb(f"--yes restore {UUID} broken.img", holds=WHOLE[:8192]),
    "repair": Verb("--yes repair broken.img"),
    "undo-list": Verb("undo disk.img --list"),
    "undo": Verb("--yes undo disk.img", holds=BROKEN[:8192]),
    "extract": Verb("extract disk.img /dev/null --key-file passphrase"),
    "ls": Verb("ls disk.img / --key-file passphrase"),
    "escrow-show": Verb("escrow show"),
    "escrow-save": Verb("escrow save disk.img --key-file passphrase --recipient {recipient}", JUDGING),
}
FAST = ("check", "backup", "restore", "undo", "sync", "list")

PLACES = {
    "the store": ".",
    "marker": "luksafe-vault.json",
    "volume folder": UUID,
    "image": f"{UUID}/*.hdr.gz",
    "record": f"{UUID}/????????????????????????????????.json",
    "proof": f"{UUID}/*.proof-*.json",
    "tombstone": f"{UUID}/*.forgotten.json",
    "packet": f"{UUID}/*.age",
    "public part": f"{UUID}/*.public-*.json",
    "undo": "undo",
    "entry": "undo/*",
    "manifest": "undo/*/manifest.json",
    "old bytes": "undo/*/old-*.bin",
    "new bytes": "undo/*/new-*.bin",
    "mark": "undo/*/mark-*.json",
}


def missing(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


def empty(path: Path) -> None:
    """Remove it whatever it is; of a place that something is mounted on, what is in it."""
    if path.is_symlink() or not path.is_dir():
        path.unlink()
        return
    path.chmod(0o700)
    for inner in path.iterdir():
        empty(inner)
    if not path.is_mount():
        path.rmdir()


def a_file(path: Path) -> None:
    missing(path)
    path.write_bytes(b"what is this?\n")


def a_folder(path: Path) -> None:
    missing(path)
    path.mkdir()


def a_link(path: Path) -> None:
    moved = path.with_name("moved-away")
    path.rename(moved)
    path.symlink_to(moved)


def a_pipe(path: Path) -> None:
    missing(path)
    os.mkfifo(path)


def unreadable(path: Path) -> None:
    path.chmod(0)


FAULTS: dict[str, Callable[[Path], None]] = {
    each.__name__: each for each in (missing, a_file, a_folder, a_link, a_pipe, unreadable)
}


@contextmanager
def without_root_powers() -> Iterator[None]:
    """Without CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH, so that this thread reads no file against its mode."""
    libc = ctypes.CDLL(None, use_errno=True)
    head = ctypes.create_string_buffer(struct.pack("<Ii", 0x20080522, 0))
    data = ctypes.create_string_buffer(24)
    assert libc.capget(head, data) == 0
    words = list(struct.unpack("<6I", data.raw))
    lowered = [words[0] & ~(1 << 1 | 1 << 2), *words[1:]]
    assert libc.capset(head, ctypes.create_string_buffer(struct.pack("<6I", *lowered))) == 0
    try:
        yield
    finally:
        assert libc.capset(head, ctypes.create_string_buffer(struct.pack("<6I", *words))) == 0


class Bench:
    """A world that is put back to its beginning before each case. Its store lies in ``backing``, seen as ``store0``."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.store = world.folder / "store0"
        self._make()
        self.whole: dict[str, int] = {}
        self.names = {"id": self._ids()[0], "old": self._ids()[1], "recipient": str(samples.age_identity().to_public())}
        self._kept = world.folder.with_name(world.folder.name + "-kept")
        self._parts = ("vault", "store0", "state", "disk.img", "broken.img")
        self._kept.mkdir()
        for part in self._parts:
            self._copy(world.folder / part, self._kept / part)

    def _make(self) -> None:
        world = self.world
        world.image("disk.img", WHOLE)
        world.image("broken.img", BROKEN)
        world.image("other.img", luks2_image(uuid="99999999-6f54-4f0a-8a1b-0123456789ab") + bytes(1 << 20))
        world.image("older.img", OLDER)
        world.image("older2.img", luks2_image(label="older2"))
        world.image("gone.img", luks2_image(label="gone"))
        assert world.run("stores", "add", "s0", self.store, "--own").status == 0
        recipient = str(samples.age_identity().to_public())
        for words in (
            "import older.img",
            "import gone.img",
            "backup disk.img",
            "prove disk.img --key-file passphrase",
            f"escrow save disk.img --key-file passphrase --recipient {recipient}",
        ):
            assert world.run(*words.split()).status in (0, 3)
        gone = [b["id"] for b in world.run("list", "--json").json["backups"] if b["label"] == "gone"]
        assert world.run("--yes", "forget", *gone).status == 0
        world.image("disk.img", BROKEN)
        assert world.run("--yes", "restore", UUID, "disk.img").status == 0

    def _ids(self) -> list[str]:
        backups = self.world.run("list", "--json").json["backups"]
        return [b["id"] for b in sorted(backups, key=lambda b: bool(b["label"]))]

    def _copy(self, source: Path, target: Path) -> None:
        if source.is_dir():
            shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True)
        else:
            shutil.copy(source, target)

    def reset(self) -> None:
        """All as in the beginning."""
        for path in self.world.folder.iterdir():
            if path.name in (*self._parts, "second", "moved-away", "exported.img"):
                empty(path)
        for part in self._parts:
            self._copy(self._kept / part, self.world.folder / part)

    def place(self, name: str) -> Path:
        """The path of a kind in the store; the same one each time."""
        return min(self.store.glob(PLACES[name])) if name != "the store" else self.store

    def run(self, verb: Verb) -> Ran:
        return self.world.run(*verb.words.format(**self.names).split())

    def problem(self, verb: Verb) -> str:
        """What is wrong with what the verb did; empty when nothing is."""
        ran = self.run(verb)
        if verb.words not in self.whole:
            assert ran.status not in (1, 2), ran
        if ran.status not in {self.whole.setdefault(verb.words, ran.status), *verb.also}:
            return f"status {ran.status}: {ran.err[-300:] or ran.out[-300:]}"
        disk = self.world.folder / ("broken.img" if "broken" in verb.words else "disk.img")
        if verb.holds is not None and not disk.read_bytes().startswith(verb.holds):
            return "the disk holds other bytes"
        return ""


@pytest.fixture
def bench(world: World) -> Bench:
    return Bench(world)


@pytest.mark.parametrize("name", FAST)
def test_a_broken_undo_folder_of_a_store_stops_no_verb(bench: Bench, name: str) -> None:
    wrong = {}
    assert bench.problem(VERBS[name]) == "", "with a whole store"
    for fault, breaks in FAULTS.items():
        for place in ("undo", "volume folder"):
            bench.reset()
            breaks(bench.place(place))
            with without_root_powers() if fault == "unreadable" and os.geteuid() == 0 else nullcontext():
                if problem := bench.problem(VERBS[name]):
                    wrong[place, fault] = problem
    assert wrong == {}


def test_a_store_that_fails_is_named_in_a_warning(bench: Bench) -> None:
    a_file(bench.place("undo"))
    ran = bench.run(VERBS["undo-list"])
    assert ran.err.count("warning:") == 1
    assert f"going on without the undo entries in {bench.store}" in ran.err
    bench.reset()
    with without_root_powers() if os.geteuid() == 0 else nullcontext():
        unreadable(bench.store)
        ran = bench.run(VERBS["list"])
    assert "going on without the store s0" in ran.err
    assert ran.err.count("warning:") == 1


@pytest.mark.slow
@pytest.mark.parametrize("name", VERBS)
def test_a_verb_goes_on_whatever_is_broken_in_a_store(
    bench: Bench, name: str, record_property: Callable[[str, object], None]
) -> None:
    verb, wrong, cases = VERBS[name], {}, 0
    assert bench.problem(verb) == "", "with a whole store"
    for fault, breaks in FAULTS.items():
        for place in PLACES:
            bench.reset()
            breaks(bench.place(place))
            cases += 1
            with without_root_powers() if fault == "unreadable" and os.geteuid() == 0 else nullcontext():
                if problem := bench.problem(verb):
                    wrong[place, fault] = problem
    record_property("cases", cases)
    assert wrong == {}


@pytest.mark.slow
@pytest.mark.parametrize("name", VERBS)
def test_a_verb_goes_on_beside_a_store_with_input_output_errors(bench: Bench, name: str) -> None:
    verb, wrong = VERBS[name], {}
    world = bench.world
    faults, mounted = world.folder / "faults", world.folder / "mounted"
    faults.write_text("")
    config = world.vault / "config.toml"
    kept = bench._kept / "vault" / "config.toml"
    kept.write_text(config.read_text().replace(f'"{bench.store}"', f'"{mounted}"'))
    with failing_folder(bench.store, mounted, faults):
        assert bench.problem(verb) == "", "with a whole store"
        for place in PLACES:
            faults.write_text("")
            bench.reset()
            faults.write_text(str(bench.place(place).relative_to(bench.store)))
            if problem := bench.problem(verb):
                wrong[place] = problem
        faults.write_text("")
    assert wrong == {}

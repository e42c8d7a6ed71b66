"""Whatever its owner, accidents and luksafe's own advice do to a volume, the last way in is never lost.

A state machine over real cryptsetup on image files. `make test-long` runs 5,000 lives (LUKSAFE_LIVES),
`make test-slow` a few.
"""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from life import oracle
from life.oracle import PBKDF, cryptsetup
from life.world import World

pytestmark = pytest.mark.skipif(
    shutil.which("cryptsetup") is None or shutil.which("mkfs.ext4") is None or not Path("/dev/shm").is_dir(),
    reason="needs cryptsetup, mkfs.ext4 and a second filesystem (/dev/shm)",
)

STEPS = 12
CHUNKS = int(os.environ.get("LUKSAFE_LIFE_CHUNKS", "50"))
LIVES = int(os.environ.get("LUKSAFE_LIVES", "5000"))
FORMATS = st.sampled_from(["luks1", "luks2"])
NUMBERS = st.integers(0, 7)
LUKS1_SLOTS, LUKS2_KEYSLOTS_FROM = 0x1000, 0x8000


class Life(RuleBasedStateMachine):
    """``self.world`` is one volume; each rule one thing that happens to it."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World.make()

    def teardown(self) -> None:
        self.world.remove()

    # what its owner does

    @initialize(kind=FORMATS, is_kept=st.booleans())
    def create(self, kind: str, is_kept: bool) -> None:
        self.world.format(kind, with_data=True)
        if is_kept:
            self.keep()

    @rule(kind=FORMATS, with_data=st.booleans(), seldom=NUMBERS)
    def format_again(self, kind: str, with_data: bool, seldom: int) -> None:
        """By mistake, so that the data of the old volume are still there, or to begin anew."""
        if seldom < 3:
            self.world.format(kind, with_data=with_data)

    @rule()
    def add_key(self) -> None:
        openers = self.world.keyslot_openers()
        if openers:
            new = self.world.new_passphrase()
            self.world.cryptsetup("luksAddKey", *PBKDF, "--key-file", openers[0], self.world.image, new)

    @rule(by=NUMBERS)
    def change_key(self, by: int) -> None:
        """Also to one that nobody remembers: mistyped, and typed the same way twice."""
        openers = self.world.keyslot_openers()
        if openers:
            old, new = openers[by % len(openers)], self.world.new_passphrase()
            self.world.cryptsetup("luksChangeKey", *PBKDF, "--key-file", old, self.world.image, new)
            if by == 7:
                self.world.passphrases.remove(new)

    @rule(slot=NUMBERS)
    def kill_slot(self, slot: int) -> None:
        """Of the passphrase that somebody names, even the last one."""
        openers = self.world.keyslot_openers()
        if openers and (number := self._any_slot(openers[slot % len(openers)])) is not None:
            self.world.cryptsetup("luksKillSlot", self.world.image, number)

    @rule()
    def erase(self) -> None:
        self.world.cryptsetup("luksErase", self.world.image)

    @rule(kind=FORMATS)
    def convert(self, kind: str) -> None:
        self.world.cryptsetup("convert", "--type", kind, self.world.image)

    @rule(decrypt=st.sampled_from(["--init-only", "--init-only", "--decrypt"]))
    def begin_reencryption(self, decrypt: str) -> None:
        openers = self.world.opening(self.world.image)
        if not openers or self.world.needs_resume():
            return
        key = self._any_slot(openers[0])
        if key is None:
            return
        slot = () if decrypt == "--decrypt" else ("--key-slot", key)
        header = ("--header", self.world.scratch / "detached") if decrypt == "--decrypt" else ()
        (self.world.scratch / "detached").unlink(missing_ok=True)
        where = ("--force-offline-reencrypt", *slot, *header, "--key-file", openers[0], self.world.image)
        self.world.cryptsetup("reencrypt", decrypt, *(PBKDF if not header else ()), *where)

    @rule()
    def resume_reencryption(self) -> None:
        for opener in self.world.keyslot_openers() if self.world.needs_resume() else ():
            where = ("--force-offline-reencrypt", "--key-file", opener, self.world.image)
            if self.world.cryptsetup("reencrypt", "--resume-only", *where) == 0:
                break

    # what luksafe is asked to do

    @rule()
    def backup(self) -> None:
        self.world.luksafe("backup", self.world.image)

    @rule()
    def keep(self) -> None:
        """What a careful owner does: a backup, and a proof of it."""
        self.world.luksafe("backup", self.world.image)
        for opener in self.world.keyslot_openers()[-1:]:
            self.world.luksafe("prove", self.world.image, "--key-file", opener)

    @rule(by=NUMBERS)
    def prove(self, by: int) -> None:
        self.world.luksafe("prove", self.world.image, "--key-file", self._passphrase(by))

    @rule(by=NUMBERS, which=NUMBERS)
    def follow_check(self, by: int, which: int) -> None:
        self._follow(self._advice_of_check(), by, which)

    @rule(by=NUMBERS, which=NUMBERS)
    def follow_diagnose(self, by: int, which: int) -> None:
        ran = self.world.luksafe("diagnose", self.world.image, "--json")
        self._follow(ran.json["next"], by, which)

    @rule(by=NUMBERS)
    def restore_the_volume(self, by: int) -> None:
        """The first restore that check or diagnose name, as printed, judged beside cryptsetup's own."""
        diagnosed = self.world.luksafe("diagnose", self.world.image, "--json").json["next"]
        named = [c for c in (*self._advice_of_check(), *diagnosed) if " restore " in c]
        if named:
            self._restore(named[0], self._passphrase(by))

    @rule()
    def undo(self) -> None:
        before = self.world.image.read_bytes()
        if self.world.luksafe("undo", self.world.image, "--yes").status == 0:
            self.world.luksafe("undo", self.world.image, "--yes")
            assert self.world.image.read_bytes() == before, "an undo that was undone"
            self.world.luksafe("undo", self.world.image, "--yes")

    # what happens to it

    @rule(what=st.sampled_from(["start", "both", "magic", "second", "vfat", "keyslots", "bit"]), seed=NUMBERS)
    def damage(self, what: str, seed: int) -> None:
        spots = {
            "start": [(0, bytes(4096))],
            "both": [(0, bytes(32768))],
            "magic": [(0, bytes(6)), (16384, bytes(6))],
            "second": [(16384, bytes(4096))],
            "vfat": [(0, b"\xeb\x3c\x90mkfs.fat\0\x02\x04\x04\0\x02\0\x02".ljust(510, b"\0") + b"\x55\xaa")],
            "keyslots": [(LUKS2_KEYSLOTS_FROM, bytes(65536))],
            "bit": [],
        }[what]
        with self.world.image.open("r+b") as image:
            for at, data in spots:
                image.seek(at)
                image.write(data)
            if what == "bit":
                at = random.Random(seed).randrange(0x100000)
                image.seek(at)
                old = image.read(1)[0]
                image.seek(at)
                image.write(bytes([old ^ 1 << seed]))
        self.world.log.append(f"damage {what} {seed}")

    @rule()
    def make_clone(self) -> None:
        shutil.copyfile(self.world.image, self.world.clone)
        self.world.log.append("clone")

    @precondition(lambda self: self.world.clone.exists())
    @rule(add=st.booleans())
    def use_clone(self, add: bool) -> None:
        """The clone goes its own way, and is backed up as well."""
        openers = [p for p in self.world.passphrases if oracle.volume_keys(self.world.clone, [p], self.world.scratch)]
        if openers and add:
            new = self.world.new_passphrase()
            self.world.cryptsetup("luksAddKey", *PBKDF, "--key-file", openers[0], self.world.clone, new)
        self.world.luksafe("backup", self.world.clone)

    @rule()
    def move_stick(self) -> None:
        here, away = self.world.stick, self.world.drawer
        if here.exists():
            here.rename(away)
        elif away.exists():
            away.rename(here)
        self.world.log.append(f"stick {'here' if here.exists() else 'away'}")

    @rule()
    def sync(self) -> None:
        self.world.luksafe("sync")

    # what must hold at any time

    @invariant()
    def safe_is_true(self) -> None:
        if not self.world.passphrases:
            return
        volumes = self.world.luksafe("check", self.world.image, "--json").json["volumes"]
        for volume in volumes:
            if volume["state"] == "safe":
                self._require_safe(volume)

    def _require_safe(self, volume: dict[str, object]) -> None:
        assert not self.world.needs_resume(), f"SAFE in reencryption\n{self._story()}"
        assert self.world.opening(self.world.image), f"SAFE, and nothing opens the image\n{self._story()}"
        places = {"home": self.world.home, "stick": self.world.stick}
        for name in volume["copies"]:  # type: ignore[attr-defined]
            if not places[name].exists():
                continue
            (copy,) = places[name].glob(f"*/{volume['backup_id']}.hdr.gz")
            found = dict(oracle.stored_headers([places[name]], self.world.scratch))
            assert copy in found
            for packed, unpacked in oracle.stored_headers([places[name]], self.world.scratch):
                if packed == copy:
                    assert self.world.opening(unpacked), f"SAFE by a copy that opens nothing\n{self._story()}"

    def _follow(self, commands: list[str], by: int, which: int) -> None:
        usable = [command for command in commands if self.world.advice_words(command)]
        if not usable:
            return
        command, passphrase = usable[which % len(usable)], self._passphrase(by)
        if " restore " in command:
            self._restore(command, passphrase)
            return
        before = self.world.ways_in()
        self.world.follow(command, passphrase)
        self._require_way_in(before, command)

    def _restore(self, command: str, passphrase: Path) -> None:
        before = self.world.ways_in()
        words = self.world.advice_words(command)
        backup = words[words.index("restore") + 1]
        beside = self.world.scratch / "beside"
        shutil.copyfile(self.world.image, beside)
        exported = self.world.scratch / "exported"
        exported.unlink(missing_ok=True)
        is_exported = self.world.luksafe("export", backup, exported).status == 0
        ran = self.world.follow(command, passphrase)
        self._require_way_in(before, command)
        if ran is not None and ran.status in (0, 3) and is_exported:
            self._require_like_cryptsetup(beside, exported)

    def _require_way_in(self, before: list[str], command: str) -> None:
        if before and not self.world.ways_in():
            raise AssertionError(f"{command!r} was advised, and lost the last way in: {before}\n{self._story()}")

    def _require_like_cryptsetup(self, beside: Path, exported: Path) -> None:
        """After cryptsetup's own restore onto the same bytes, the same dump, repair and opening, whole and damaged."""
        restored = cryptsetup("luksHeaderRestore", "--header-backup-file", exported, beside)
        if restored.returncode:
            return
        ours = self.world.scratch / "ours"
        for lost in (0, 4096):
            seen = []
            for source in (self.world.image, beside):
                shutil.copyfile(source, ours)
                with ours.open("r+b") as image:
                    image.write(bytes(lost))
                dumped = cryptsetup("luksDump", ours)
                repaired = cryptsetup("repair", ours)
                keys = oracle.volume_keys(ours, self.world.passphrases, self.world.scratch)
                seen.append((dumped.returncode, dumped.stdout.replace(str(ours), ""), repaired.returncode, keys))
            assert seen[0] == seen[1], (
                f"restored, it is not as cryptsetup's restore leaves it ({lost})\n{self._story()}"
            )

    def _advice_of_check(self) -> list[str]:
        volumes = self.world.luksafe("check", self.world.image, "--json").json["volumes"]
        advised = [reason["next"] for volume in volumes for reason in (*volume["reasons"], *volume["notes"])]
        return [command for command in advised if command]

    def _passphrase(self, by: int) -> Path:
        return self.world.passphrases[by % len(self.world.passphrases)]

    def _any_slot(self, passphrase: Path) -> int | None:
        for slot in range(8):
            where = ("--test-passphrase", "--key-slot", slot, "--key-file", passphrase)
            copy = self.world.scratch / "slot"
            shutil.copyfile(self.world.image, copy)
            if cryptsetup("open", *where, copy).returncode == 0:
                return slot
        return None

    def _story(self) -> str:
        return "\n".join(self.world.log)


def live(examples: int, seed: int) -> None:
    few = settings(
        max_examples=examples,
        stateful_step_count=STEPS,
        deadline=None,
        database=None,
        derandomize=False,
        suppress_health_check=list(HealthCheck),
        print_blob=False,
        report_multiple_bugs=False,
        # the story is told by the log; shrinking it takes minutes
        phases=(Phase.generate,),
    )
    machine = type("SeededLife", (Life,), {"__module__": __name__})
    machine._hypothesis_internal_use_seed = seed  # type: ignore[attr-defined]
    run_state_machine_as_test(machine, settings=few)


@pytest.mark.slow
def test_a_few_lives() -> None:
    live(10, seed=1)


@pytest.mark.long
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_many_lives(chunk: int, record_property: object) -> None:
    live(LIVES // CHUNKS, seed=chunk)

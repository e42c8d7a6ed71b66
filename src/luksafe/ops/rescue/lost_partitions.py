"""Ways to a volume that does not begin with the device: a read-only device over just its part of the disk."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from luksafe.ops.rescue.model import Chance, Guess, Risk, Step, Way, prove
from luksafe.programs import environment, find_program

_SECTOR_BYTES = 512


def partition_ways(device: str, guesses: Sequence[Guess]) -> Iterator[Way]:
    """One way for each partition: make it reachable, prove it, open it. Nothing is written to the disk."""
    for number, guess in enumerate(guesses, 1):
        make, node = _attach(device, guess, number)
        if not node:
            continue
        yield Way(
            f"partition:{guess.start}",
            f"Reach the volume {guess.uuid[:8]} at byte {guess.start}",
            Chance.VERY_LIKELY if guess.sure else Chance.LIKELY,
            Risk.READS_ONLY,
            _why(guess),
            (make, *_steps(guess, node, number)),
        )


def _why(guess: Guess) -> str:
    what = f"the key material of {guess.header}" if guess.header else "its header"
    return f"a search found {what} there; the partition has at most {guess.length} bytes"


def _steps(guess: Guess, node: str, number: int) -> Iterator[Step]:
    header = ("--header", guess.header) if guess.header else ()
    yield prove(node, guess.header)
    yield Step(("luksafe", "ls", node, "/", *header), "Lists the files inside. Reads only.")
    if not guess.header:
        yield Step(
            ("cryptsetup", "open", "--readonly", node, f"rescued{number}"),
            f"Opens it read-only: the data are then at /dev/mapper/rescued{number}. (Needs root and dm-crypt.)",
        )


def _attach(device: str, guess: Guess, number: int) -> tuple[Step, str]:
    """The step that makes the device, and its name; no name where there is no loop device to be had."""
    if Path(device).is_block_device():
        name = f"luksafe-lost{number}"
        table = f"0 {guess.length // _SECTOR_BYTES} linear {device} {guess.start // _SECTOR_BYTES}"
        command = ("dmsetup", "create", "--readonly", name, "--table", table)
        text = "Makes a read-only device over just that part of the disk. The disk itself is not touched."
        return Step(command, text), f"/dev/mapper/{name}"
    node = _free_loop()
    where = ("--offset", str(guess.start), "--sizelimit", str(guess.length))
    text = "Makes a read-only device over just that part of the file. The file itself is not touched."
    return Step(("losetup", "--read-only", *where, node, device), text), node


def _free_loop() -> str:
    program = find_program("losetup")
    if program is None:
        return ""
    try:
        done = subprocess.run(
            [program, "--find"], check=False, capture_output=True, text=True, timeout=10, env=environment()
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""

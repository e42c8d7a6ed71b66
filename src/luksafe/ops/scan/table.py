"""Commands that make a lost partition reachable without writing to the disk, and the line for a table written later."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence

from luksafe.ops.scan.model import LostPartition

_SECTOR_BYTES = 512
_TABLE_BYTES = 34 * _SECTOR_BYTES  # what a GPT takes
_LUKS_TYPE = "CA7D7CCB-63ED-4C53-861C-1742536059CC"


def reach_commands(guesses: Sequence[LostPartition], *, is_block_device: bool) -> Iterator[str]:
    """Lines of a shell script: read-only devices over each partition that no table lists, then sfdisk's lines.

    A block device gets a linear mapping of dmsetup, a file a loop device; one that begins at byte 0 needs neither. No
    line for sfdisk where a table would be written over a volume.
    """
    lost = [guess for guess in guesses if not guess.listed and guess.length]
    for number, guess in enumerate(lost, 1):
        if number > 1:
            yield ""
        if guess.is_whole_device:
            yield from _whole_device(guess)
            continue
        yield f"# {guess.uuid or 'unknown volume'}: {guess.start_why}; length: {guess.length_why}"
        yield _dmsetup(guess, number) if is_block_device else _losetup(guess)
    if any(guess.is_inside for guess in lost):
        yield ""
        yield "# no lines for sfdisk: a partition of the present table lies over a volume, and would have to go first"
    elif any(guess.start < _TABLE_BYTES for guess in lost):
        if not all(guess.is_whole_device for guess in lost):
            yield ""
            yield "# no lines for sfdisk: a partition table would overwrite the volume at the start of the device"
    elif lost:
        yield ""
        yield "# lines for sfdisk, to enter the partitions for good. This WRITES: save the present table first with"
        yield f"#   sfdisk --dump {shlex.quote(lost[0].file)} > table.sfdisk"
        for guess in lost:
            yield f"# start={_sectors(guess.start)}, size={_sectors(guess.length)}, type={_LUKS_TYPE}"


def _whole_device(guess: LostPartition) -> Iterator[str]:
    yield f"# {guess.uuid or 'unknown volume'}: begins at byte 0: it is the volume itself and needs no partition table"
    yield f"luksafe diagnose {shlex.quote(guess.file)}"


def _dmsetup(guess: LostPartition, number: int) -> str:
    table = f"0 {_sectors(guess.length)} linear {guess.file} {_sectors(guess.start)}"
    return f"dmsetup create --readonly luksafe-lost{number} --table {shlex.quote(table)}"


def _losetup(guess: LostPartition) -> str:
    where = f"--offset {guess.start} --sizelimit {guess.length}"
    return f"losetup --find --show --read-only {where} {shlex.quote(guess.file)}"


def _sectors(size_bytes: int) -> int:
    return size_bytes // _SECTOR_BYTES

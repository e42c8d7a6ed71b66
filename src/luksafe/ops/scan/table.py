"""Commands that make a lost partition reachable without writing to the disk, and the line for a table written later."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence

from luksafe.ops.scan.model import LostPartition

_SECTOR_BYTES = 512
_LUKS_TYPE = "CA7D7CCB-63ED-4C53-861C-1742536059CC"


def reach_commands(guesses: Sequence[LostPartition], *, is_block_device: bool) -> Iterator[str]:
    """Lines of a shell script: read-only devices over each partition that no table lists, then sfdisk's lines.

    A block device gets a linear mapping of dmsetup, a file a loop device.
    """
    lost = [guess for guess in guesses if not guess.listed and guess.length]
    for number, guess in enumerate(lost, 1):
        if number > 1:
            yield ""
        yield f"# {guess.uuid or 'unknown volume'}: {guess.start_why}; length: {guess.length_why}"
        yield _dmsetup(guess, number) if is_block_device else _losetup(guess)
    if lost:
        yield ""
        yield "# lines for sfdisk, to enter the partitions for good. This WRITES: save the present table first with"
        yield f"#   sfdisk --dump {shlex.quote(lost[0].file)} > table.sfdisk"
        for guess in lost:
            yield f"# start={_sectors(guess.start)}, size={_sectors(guess.length)}, type={_LUKS_TYPE}"


def _dmsetup(guess: LostPartition, number: int) -> str:
    table = f"0 {_sectors(guess.length)} linear {guess.file} {_sectors(guess.start)}"
    return f"dmsetup create --readonly luksafe-lost{number} --table {shlex.quote(table)}"


def _losetup(guess: LostPartition) -> str:
    where = f"--offset {guess.start} --sizelimit {guess.length}"
    return f"losetup --find --show --read-only {where} {shlex.quote(guess.file)}"


def _sectors(size_bytes: int) -> int:
    return size_bytes // _SECTOR_BYTES

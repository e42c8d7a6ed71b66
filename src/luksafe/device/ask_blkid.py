"""What the installed blkid calls a device of which nothing is known here: a name, no more."""

from __future__ import annotations

import subprocess
from pathlib import Path

from luksafe.probe.recognised import Kind, Recognised
from luksafe.programs import environment, find_program

_SECONDS = 15
_LONGEST_NAME = 64
_OWN = ("crypto_LUKS",)  # what is left of a LUKS header is judged here, and better
_KINDS = {"filesystem": Kind.FILESYSTEM, "raid": Kind.RAID, "crypto": Kind.CRYPTO}


def ask_blkid(path: Path) -> tuple[Recognised, ...]:
    """The one thing that blkid names, without a size; empty when it says nothing, takes too long or is not there."""
    program = find_program("blkid")
    if program is None:
        return ()
    command = [program, "--probe", "--output", "export", str(path.absolute())]
    try:
        done = subprocess.run(
            command,
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SECONDS,
            env=environment(LC_ALL="C"),
        )
    except (OSError, subprocess.TimeoutExpired):
        return ()
    said = dict(line.partition("=")[::2] for line in done.stdout.decode("utf-8", "replace").splitlines())
    name = said.get("TYPE") or said.get("PTTYPE") or ""
    if done.returncode or not name or name in _OWN or len(name) > _LONGEST_NAME or not name.isprintable():
        return ()
    kind = _KINDS.get(said.get("USAGE", ""), Kind.VOLUME_MANAGER) if said.get("TYPE") else Kind.PARTITION_TABLE
    found = Recognised(
        name=name,
        kind=kind,
        offset=0,
        length=0,
        start=0,
        copy="primary",
        bits=0,
        checksum=None,
        evidence="blkid names it",
        label=said.get("LABEL", ""),
        uuid=said.get("UUID", "") if said.get("TYPE") else "",
        version=said.get("VERSION", ""),
    )
    return (found,)

"""``/etc/crypttab`` (crypttab(5) of systemd and of Debian): names, devices, options, detached headers."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from luksafe.device.mounts import unescape
from luksafe.programs import environment, find_program
from luksafe.wall import ParserStopped, walled

_LINKS = {"UUID": "by-uuid", "PARTUUID": "by-partuuid", "LABEL": "by-label", "PARTLABEL": "by-partlabel", "ID": "by-id"}
_BLKID_SECONDS = 30


@dataclass(frozen=True, slots=True)
class CrypttabEntry:
    """One line. ``options`` keeps the fourth field in its order; an option without a value has the value ""."""

    name: str
    device: str
    key_file: str = ""
    options: tuple[tuple[str, str], ...] = ()

    def option(self, name: str) -> str | None:
        """The value of an option, the last one winning; None where it is not there."""
        return dict(self.options).get(name)

    @property
    def header_file(self) -> str:
        """The path of the detached header; empty when the header is on the device."""
        return self._header()[0]

    @property
    def header_device(self) -> str:
        """The device whose filesystem holds the header file (``header=PATH:DEVICE`` of systemd); mostly empty."""
        return self._header()[1]

    def _header(self) -> tuple[str, str]:
        value = self.option("header") or ""
        match = re.fullmatch(r"(.+):(/dev/.+|[A-Z]+=.+)", value, re.DOTALL)
        return (match[1], match[2]) if match else (value, "")


def _stopped(_why: ParserStopped, _text: str) -> list[CrypttabEntry]:
    return []


@walled("crypttab", _stopped)
def parse_crypttab(text: str) -> list[CrypttabEntry]:
    """Every line with at least a name and a device; comments and what makes no sense are left out."""
    entries = []
    for line in text.splitlines():
        fields = [unescape(field) for field in line.split()]
        if len(fields) < 2 or fields[0].startswith("#"):
            continue
        name, device, key_file, options = [*fields, "", ""][:4]
        entries.append(CrypttabEntry(name, device, "" if key_file in ("none", "-") else key_file, _options(options)))
    return entries


def _options(text: str) -> tuple[tuple[str, str], ...]:
    parts = (part.replace("\\,", ",") for part in re.split(r"(?<!\\),", text))
    pairs = (part.partition("=") for part in parts if part)
    return tuple((key, value) for key, _, value in pairs)


def find_device(spec: str) -> str:
    """The device file that a path or ``UUID=…``, ``PARTUUID=…``, ``LABEL=…``, ``PARTLABEL=…`` means; empty if none."""
    tag, equals, value = spec.partition("=")
    value = value.strip('"')
    if not equals or tag not in _LINKS or not value:
        return spec if Path(spec).exists() else ""
    names = (value, value.lower()) if tag.endswith("UUID") else (value,)
    for name in names:
        link = Path("/dev/disk", _LINKS[tag], name)
        if "/" not in name and link.exists():
            return str(link)
    return _ask_blkid(tag, value)


def _ask_blkid(tag: str, value: str) -> str:
    """For systems without udev. With ``-c /dev/null`` blkid neither trusts nor writes its cache."""
    program = find_program("blkid")
    if program is None:
        return ""
    command = [program, "-c", "/dev/null", "-l", "-o", "device", "-t", f"{tag}={value}"]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_BLKID_SECONDS,
            check=False,
            env=environment(),
        )
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode(errors="replace").strip()

"""Why there is no memory to read, or no key in it, in words, with what to do instead."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path

from luksafe.errors import LuksafeError, NotFound, Unsupported

LOCKDOWN = Path("/sys/kernel/security/lockdown")

OTHER_WAYS = (
    "Keep the volume open and do not reboot. Other ways: dump the memory from the hypervisor "
    "(virsh dump --memory-only, dump-guest-memory) and search the dump; open the volume's header backup; "
    "or copy the data out of the mapping now."
)


def parse_lockdown(text: str) -> str:
    """The mode in brackets, as in ``none integrity [confidentiality]``; empty when there is none."""
    found = re.search(r"\[(\w+)\]", text)
    return found[1] if found else ""


def read_lockdown() -> str:
    """The kernel's lockdown mode; empty where it cannot be told."""
    try:
        return parse_lockdown(LOCKDOWN.read_text())
    except OSError:
        return ""


def explain(path: Path, error: OSError, *, is_root: bool | None = None, lockdown: str | None = None) -> LuksafeError:
    """The error to raise for a memory source that does not open."""
    is_root = os.geteuid() == 0 if is_root is None else is_root
    lockdown = read_lockdown() if lockdown is None else lockdown
    if error.errno == errno.ENOENT and path == Path("/proc/kcore"):
        return Unsupported("this kernel has no /proc/kcore (CONFIG_PROC_KCORE), or hides it here", hint=OTHER_WAYS)
    if error.errno == errno.ENOENT:
        return NotFound(f"{path}: no such file")
    if error.errno in (errno.EPERM, errno.EACCES):
        if not is_root:
            return LuksafeError(f"{path}: not allowed", code="permission", hint="Run it as root.")
        if lockdown == "confidentiality":
            return Unsupported(
                f"{path}: the kernel is in lockdown mode 'confidentiality' and shows its memory to nobody",
                hint=OTHER_WAYS,
            )
        return Unsupported(
            f"{path}: refused to root, as in a container or by a security module",
            hint="Try it on the host itself. " + OTHER_WAYS,
        )
    return LuksafeError(f"{path}: {error.strerror or error}")


_LIVE = ("kcore", "devmem")


def why_no_key(kind: str, schedules: int) -> str:
    """Why a search proved no key: ``kind`` of the image, and how many AES key schedules it holds."""
    if schedules:
        text = f"{schedules} AES key schedules stand in this memory, but none of them is proven to be this volume's: "
    else:
        text = "no AES key schedule stands in this memory: "
    text += "the volume was closed or suspended then (luksSuspend wipes the key), its cipher is not AES, "
    text += "or its key is held by hardware"
    if kind in _LIVE:
        return text
    return text + (
        "; or the machine's memory is encrypted (SEV, TDX): then a dump from outside shows nothing, "
        "and /proc/kcore is to be searched inside the machine"
    )

"""The memory of the running kernel: which parts are RAM, and what is said when it is not to be had."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from luksafe.errors import LuksafeError, NotFound, Unsupported
from luksafe.memory import detect
from luksafe.memory.access import explain, parse_lockdown, why_no_key
from luksafe.memory.image import RamRange
from luksafe.memory.sources import devmem, kcore
from luksafe.memory.sources.elfcore import Load
from luksafe.memory.sources.iomem import intersect, parse_system_ram

IOMEM = """\
00000000-00000fff : Reserved
00001000-0009fbff : System RAM
000a0000-000bffff : PCI Bus 0000:00
00100000-3ffd3fff : System RAM
  01000000-01e01d31 : Kernel code
3ffd4000-3fffffff : Reserved
100000000-13fffffff : System RAM
"""
RAM = [(0x1000, 0x9EC00), (0x100000, 0x3FED4000), (0x100000000, 0x40000000)]
DIRECT_MAP = 0xFFFF888000000000
NONE = (1 << 64) - 1


def test_system_ram_of_iomem() -> None:
    assert parse_system_ram(IOMEM) == RAM
    assert parse_system_ram("") == []


def test_iomem_without_addresses_asks_for_root() -> None:
    hidden = "00000000-00000000 : Reserved\n00000000-00000000 : System RAM\n"
    with pytest.raises(LuksafeError) as caught:
        parse_system_ram(hidden)
    assert caught.value.hint == "Run it as root."


def test_the_parts_of_a_range_that_are_ram() -> None:
    assert intersect(0, 0x2000, RAM) == [(0x1000, 0x1000)]
    assert intersect(0x90000, 0x100000, RAM) == [(0x90000, 0xFC00), (0x100000, 0x90000)]
    assert intersect(0x3FFD4000, 0x1000, RAM) == []


def test_of_kcore_the_direct_map_is_kept_and_cut_to_ram() -> None:
    loads = [
        Load(0x7FFFFF600000, 0xFFFFFFFF81000000, 0x1000000, 0x2000000),  # the kernel's text, mapped again
        Load(0x408000002000, 0xFFFFC88000000000, NONE, 0x1FFFFFFFFFFF),  # vmalloc
        Load(0x3000, DIRECT_MAP + 0x1000, 0x1000, 0x9E000),
        Load(0x102000, DIRECT_MAP + 0x100000, 0x100000, 0x3FED4000),
        Load(0x100002000, DIRECT_MAP + 0x100000000, 0x100000000, 0x40001000),
    ]
    assert kcore.direct_map_ranges(loads, RAM) == (
        RamRange(0x1000, 0x3000, 0x9E000),
        RamRange(0x100000, 0x102000, 0x3FED4000),
        RamRange(0x100000000, 0x100002000, 0x40000000),
    )


def test_the_lockdown_mode_is_the_one_in_brackets() -> None:
    assert parse_lockdown("none integrity [confidentiality]\n") == "confidentiality"
    assert parse_lockdown("[none] integrity confidentiality") == "none"
    assert parse_lockdown("") == ""


KCORE = Path("/proc/kcore")


@pytest.mark.parametrize(
    ("code", "is_root", "lockdown", "kind", "words", "hint"),
    [
        (errno.EACCES, False, "", LuksafeError, "not allowed", "Run it as root."),
        (errno.EPERM, True, "confidentiality", Unsupported, "lockdown mode 'confidentiality'", "do not reboot"),
        (errno.EPERM, True, "none", Unsupported, "container", "host itself"),
        (errno.ENOENT, True, "", Unsupported, "CONFIG_PROC_KCORE", "hypervisor"),
        (errno.EIO, True, "", LuksafeError, "Input/output error", ""),
    ],
)
def test_a_refusal_says_why_and_what_to_do(
    code: int, is_root: bool, lockdown: str, kind: type[LuksafeError], words: str, hint: str
) -> None:
    error = explain(KCORE, OSError(code, os.strerror(code)), is_root=is_root, lockdown=lockdown)
    assert type(error) is kind and words in str(error) and hint in error.hint


def test_a_file_that_is_not_there_is_not_found() -> None:
    assert type(explain(Path("dump"), OSError(errno.ENOENT, "x"))) is NotFound


def test_why_there_is_no_key() -> None:
    assert why_no_key("kcore", 0).startswith("no AES key schedule stands in this memory: the volume was closed")
    assert why_no_key("kcore", 3).startswith("3 AES key schedules stand")
    assert "SEV" not in why_no_key("kcore", 0) and "SEV" in why_no_key("elf-core", 0)


def test_the_running_kernel_is_read_or_refuses_in_words() -> None:
    try:
        image = detect.open_memory(Path("/proc/kcore"))
    except LuksafeError as error:
        assert error.hint
        return
    assert image.kind == "kcore" and image.size_bytes > 1 << 20
    image.read_into(0, memoryview(bytearray(4096)))


def test_dev_mem_is_read_or_refuses_in_words() -> None:
    if not devmem.DEVMEM.exists():
        pytest.skip("no /dev/mem here")
    try:
        image = detect.open_memory(devmem.DEVMEM)
    except LuksafeError as error:
        assert error.hint
        return
    assert image.kind == "devmem"

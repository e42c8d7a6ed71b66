"""How much memory a process can get: from the kernel and from every control group above it."""

from __future__ import annotations

from pathlib import Path

from luksafe.crypto.kdf_limits import available_memory_kib

MEMINFO = "MemTotal:       24683632 kB\nMemAvailable:    8000000 kB\nSwapFree:         500000 kB\nHugePages_Total:  0\n"


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_the_kernel_alone(tmp_path: Path) -> None:
    write(tmp_path / "proc/meminfo", MEMINFO)
    assert available_memory_kib(tmp_path / "proc", tmp_path / "cgroup") == 8_500_000


def test_the_tightest_group_counts_and_droppable_cache_is_free(tmp_path: Path) -> None:
    write(tmp_path / "proc/meminfo", MEMINFO)
    write(tmp_path / "proc/self/cgroup", "1:name=systemd:/old\n0::/a.slice/b.service\n")
    outer, inner = tmp_path / "cgroup/a.slice", tmp_path / "cgroup/a.slice/b.service"
    write(outer / "memory.max", f"{1 << 30}\n")
    write(outer / "memory.current", f"{3 << 28}\n")
    write(outer / "memory.stat", f"anon 1\ninactive_file {1 << 20}\n")
    write(inner / "memory.max", "max\n")
    write(inner / "memory.current", "1\n")
    assert available_memory_kib(tmp_path / "proc", tmp_path / "cgroup") == ((1 << 28) + (1 << 20)) // 1024


def test_a_group_that_is_over_its_limit(tmp_path: Path) -> None:
    write(tmp_path / "proc/meminfo", MEMINFO)
    write(tmp_path / "proc/self/cgroup", "0::/\n")
    write(tmp_path / "cgroup/memory.max", "1000\n")
    write(tmp_path / "cgroup/memory.current", "2000\n")
    assert available_memory_kib(tmp_path / "proc", tmp_path / "cgroup") == 0


def test_a_system_that_does_not_tell(tmp_path: Path) -> None:
    assert available_memory_kib(tmp_path, tmp_path) is None


def test_this_machine() -> None:
    available = available_memory_kib()
    assert available is None or available > 0

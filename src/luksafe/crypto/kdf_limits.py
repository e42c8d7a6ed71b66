"""How much work a header may ask for: its key derivation parameters come from outside and could be absurd."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from luksafe.errors import Refused, Unsupported

KIB_PER_GIB = 1 << 20
KEYSLOTS_WORTH = 2
ITERATIONS_PER_SECOND, KIB_PASSES_PER_SECOND = 1_500_000, 3 << 19
WORTH_TELLING_SECONDS = 20


def _say_nothing(text: str) -> None:
    """Where nobody listens."""


@dataclass(frozen=True, slots=True)
class KdfWork:
    """What a keyslot and its digest ask for at most: PBKDF2 iterations, Argon2 passes times KiB, KiB at one time."""

    iterations: int = 0
    kib_passes: int = 0
    memory_kib: int = 0

    @property
    def seconds(self) -> int:
        """About how long it takes on one core of a usual machine."""
        return self.iterations // ITERATIONS_PER_SECOND + self.kib_passes // KIB_PASSES_PER_SECOND


@dataclass(frozen=True, slots=True)
class KdfLimits:
    """Bounds for one key derivation. The defaults take whatever cryptsetup formats, and stop at minutes of work.

    ``memory_kib``: Argon2 memory (default: cryptsetup's own maximum, 4 GiB). ``time_cost``: Argon2 passes over one
    GiB; over less memory as many more. ``iterations``: of PBKDF2. ``available_memory_kib``: what the machine can
    give now, None when nobody knows. Trying all keyslots of a header may take as much as ``KEYSLOTS_WORTH`` of the
    costliest; ``tell`` hears of work that takes long before it starts.
    """

    memory_kib: int = 4 * KIB_PER_GIB
    time_cost: int = 1024
    iterations: int = 1_000_000_000
    available_memory_kib: int | None = None
    tell: Callable[[str], None] = field(default=_say_nothing, compare=False, repr=False)

    def check_pbkdf2(self, iterations: int) -> None:
        """Raise Refused when it would take too long."""
        if iterations > self.iterations:
            raise _refused(
                f"the header asks for {iterations} PBKDF2 iterations; the limit is {self.iterations}",
                f"--max-kdf-iterations {iterations}",
            )

    def check_argon2(self, time: int, memory_kib: int) -> None:
        """Raise Refused when it would take too much; Unsupported when this machine has not so much memory: that
        comes first, for no option helps."""
        if self.available_memory_kib is not None and memory_kib > self.available_memory_kib:
            raise out_of_memory(memory_kib, self.available_memory_kib)
        if memory_kib > self.memory_kib:
            raise _refused(
                f"the header asks for {memory_kib} KiB of Argon2 memory; the limit is {self.memory_kib} KiB",
                f"--max-kdf-memory {memory_kib}",
            )
        if time * memory_kib > self.time_cost * KIB_PER_GIB:
            passes = -(-time * memory_kib // KIB_PER_GIB)
            raise _refused(
                f"the header asks for {time} Argon2 passes over {memory_kib} KiB: as much work as {passes} passes "
                f"over one GiB; the limit is {self.time_cost}",
                f"--max-kdf-time {passes}",
            )

    def check_total(self, works: Sequence[KdfWork]) -> None:
        """Raise Refused when trying all of these is too much in sum; tell when it takes long."""
        if len(works) < 1:
            return
        total = KdfWork(
            sum(work.iterations for work in works),
            sum(work.kib_passes for work in works),
            max(work.memory_kib for work in works),
        )
        if total.iterations > KEYSLOTS_WORTH * self.iterations:
            raise _refused(
                f"the {len(works)} keyslots of the header and their digests ask for {total.iterations} PBKDF2 "
                f"iterations in all; the limit is {KEYSLOTS_WORTH * self.iterations}",
                f"--max-kdf-iterations {-(-total.iterations // KEYSLOTS_WORTH)}, or try one keyslot with --key-slot",
            )
        if total.kib_passes > KEYSLOTS_WORTH * self.time_cost * KIB_PER_GIB:
            passes = -(-total.kib_passes // KIB_PER_GIB)
            raise _refused(
                f"the {len(works)} keyslots of the header ask for {passes} Argon2 passes over one GiB in all; the limit"
                f" is {KEYSLOTS_WORTH * self.time_cost}",
                f"--max-kdf-time {-(-passes // KEYSLOTS_WORTH)}, or try one keyslot with --key-slot",
            )
        if total.seconds >= WORTH_TELLING_SECONDS:
            self.tell(_told(total, len(works)))


def _told(total: KdfWork, keyslots: int) -> str:
    """What is about to start, in words."""
    parts = []
    if total.iterations:
        parts.append(f"{total.iterations} PBKDF2 iterations")
    if total.kib_passes:
        parts.append(f"{-(-total.kib_passes // KIB_PER_GIB)} Argon2 passes over one GiB")
    minutes = max(1, round(total.seconds / 60))
    slots = "its keyslot asks" if keyslots == 1 else f"its {keyslots} keyslots ask"
    memory = f", with up to {total.memory_kib // 1024} MiB of memory" if total.memory_kib else ""
    return f"trying the key may take about {minutes} min: {slots} for {' and '.join(parts)}{memory}; Ctrl-C stops it"


def _refused(message: str, option: str) -> Refused:
    return Refused(
        message,
        hint=f"The header may be damaged or made to do harm. If it is yours and meant so, allow it with {option}.",
    )


def out_of_memory(needed_kib: int, available_kib: int | None = None) -> Unsupported:
    """The error for a derivation that this machine has no memory for."""
    there_is = "" if available_kib is None else f"; {available_kib // 1024} MiB are free"
    return Unsupported(
        f"this keyslot needs {needed_kib // 1024} MiB of memory for Argon2{there_is}",
        hint="Close other programs or add swap, open another keyslot, or do this on a machine with more memory.",
        code="out-of-memory",
    )


def available_memory_kib(proc: Path = Path("/proc"), cgroups: Path = Path("/sys/fs/cgroup")) -> int | None:
    """What a process can get now, swap included, in KiB: the least that the kernel and every control group above
    the process leave. None where the system does not tell."""
    meminfo = _numbers(proc / "meminfo")
    if "MemAvailable" not in meminfo:
        return None
    available = meminfo["MemAvailable"] + meminfo.get("SwapFree", 0)
    return min([available, *(left // 1024 for left in _cgroup_room_bytes(proc, cgroups))])


def _cgroup_room_bytes(proc: Path, cgroups: Path) -> list[int]:
    """What each limited control group (version 2) has left; page cache that can be dropped counts as free."""
    line = next((at for at in _text(proc / "self" / "cgroup").splitlines() if at.startswith("0::/")), None)
    if line is None:
        return []
    group = cgroups / line.removeprefix("0::/")
    rooms = []
    for folder in [group, *group.parents]:
        limit, used = _text(folder / "memory.max").strip(), _text(folder / "memory.current").strip()
        if limit.isdigit() and used.isdigit():
            cache = _numbers(folder / "memory.stat").get("inactive_file", 0)
            rooms.append(max(0, int(limit) - int(used) + cache))
        if folder == cgroups:
            break
    return rooms


def _numbers(path: Path) -> dict[str, int]:
    """Lines such as ``MemAvailable:  123 kB`` or ``inactive_file 123``."""
    words = (line.replace(":", " ").split() for line in _text(path).splitlines())
    return {at[0]: int(at[1]) for at in words if len(at) > 1 and at[1].isdigit()}


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""

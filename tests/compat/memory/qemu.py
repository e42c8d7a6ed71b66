"""A machine without a system, whose memory holds what we put there, and which QEMU dumps in all its formats."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any, Self

RAM_BYTES = 64 << 20


class Qemu:
    """QEMU with 64 MiB and stopped processors. Commands go through its monitor (QMP)."""

    def __init__(self, memory: Path, address: int) -> None:
        self._process = subprocess.Popen(
            [
                *["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-S", "-qmp", "stdio"],
                *["-machine", "q35", "-accel", "tcg", "-m", str(RAM_BYTES >> 20)],
                *["-device", f"loader,file={memory},addr={address:#x},force-raw=on"],
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._next("QMP")
        self.do("qmp_capabilities")

    def do(self, command: str, **arguments: Any) -> str:
        """The error of a command; empty when it succeeds."""
        assert self._process.stdin
        self._process.stdin.write(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
        self._process.stdin.flush()
        answer = self._next("return", "error")
        return str(answer["error"]["desc"]) if "error" in answer else ""

    def migrate(self, path: Path) -> None:
        """Write the migration stream to a file."""
        assert self.do("migrate-set-capabilities", capabilities=[{"capability": "events", "state": True}]) == ""
        assert self.do("migrate", uri=f"exec:cat > {path}") == ""
        while self._next("event")["data"].get("status") != "completed":
            pass

    def _next(self, *kinds: str) -> dict[str, Any]:
        assert self._process.stdout
        for line in self._process.stdout:
            answer: dict[str, Any] = json.loads(line)
            if any(kind in answer for kind in kinds):
                return answer
        raise AssertionError("QEMU ended")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._process.kill()
        for stream in (self._process.stdin, self._process.stdout):
            assert stream
            stream.close()
        self._process.wait()

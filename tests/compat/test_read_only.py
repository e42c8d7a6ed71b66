"""Looking never writes: not one byte of a target changes, and it is never opened for anything but reading.

Every reading verb runs in one process under strace, over healthy and damaged volumes, as files and as loop devices.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

STRACE = shutil.which("strace")
pytestmark = pytest.mark.skipif(STRACE is None, reason="strace is not installed")

OPENING = "open,openat,openat2,creat"
CHANGING = (
    "write,writev,pwrite64,pwritev,pwritev2,truncate,ftruncate,fallocate,copy_file_range,sendfile,splice,"
    "unlink,unlinkat,rename,renameat,renameat2,chmod,fchmod,fchmodat,utimensat,fsetxattr,setxattr"
)
CHANGING_IOCTLS = (
    "BLKDISCARD|BLKSECDISCARD|BLKZEROOUT|BLKROSET|BLKRRPART|BLKPG|LOOP_SET|LOOP_C[LHO]|SETFLAGS|SETXATTR|FITRIM"
)

DRIVER = """
import json, sys
from luksafe.cli.app import App
from luksafe.cli.main import main
statuses = []
for command in json.loads(open(sys.argv[1]).read()):
    App._current = None
    try:
        main(command)
    except SystemExit as leave:
        statuses.append(leave.code or 0)
open(sys.argv[2], "w").write(json.dumps(statuses))
"""

SLOW = [
    "pl-l1-ext4-essiv",
    "dmg-a-primary-zeroed",
    "dmg-a-secondary-zeroed",
    "dmg-a-csum-flip-both",
    "dmg-a-mkfs-ext4-nodiscard",
    "dmg-b-zero-512",
    "re-checksum-stopped",
]
CASES = ["pl-l2-ext4", *(pytest.param(case, marks=pytest.mark.slow) for case in SLOW)]
READ_ONLY_LOOP = ("--read-only",)
DEVICES = [
    ("dmg-a-primary-zeroed", ()),
    *(
        pytest.param(*rest, marks=pytest.mark.slow)
        for rest in (
            ("dmg-base-a", ()),
            ("dmg-base-a", READ_ONLY_LOOP),
            ("dmg-a-primary-zeroed", READ_ONLY_LOOP),
            ("dmg-b-zero-512", READ_ONLY_LOOP),
        )
    ),
]
HEALTHY = {"dmg-a": "dmg-base-a", "dmg-b": "dmg-base-b"}
LIKELY = {0, 3, 10, 11, 12, 13, 14, 15}
"""A verb may say no; it may not fail (1), or complain of its options (2)."""


class Look:
    """A target, and a vault that has a backup of its healthy state."""

    def __init__(self, folder: Path, corpus, case_id: str) -> None:
        self.folder = folder
        self.image = folder / "target.img"
        self.image.write_bytes(corpus.data(case_id))
        healthy = HEALTHY.get(case_id[:5], case_id)
        (folder / "healthy.img").write_bytes(corpus.data(healthy))
        (folder / "key").write_text(next((u["passphrase"] for u in _unlocks(corpus, healthy)), "none"))
        self.uuid = corpus.cases[healthy]["luks"]["uuid"]
        assert self.run([["stores", "add", "stick", "store"], ["backup", "healthy.img"]])[0] in ([0, 0], [0, 3])

    def run(self, commands: list[list[str]], trace: Path | None = None) -> tuple[list[int], str]:
        """The statuses of the commands, run in one process, and what strace saw."""
        todo, done = self.folder / "commands.json", self.folder / "statuses.json"
        todo.write_text(json.dumps([["--vault", "vault", *command] for command in commands]))
        watch = [f"-e{OPENING},{CHANGING},ioctl", "-f", "-y", "-qq", "-s16", "-o", str(trace)] if trace else []
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(sys.path),
            "XDG_STATE_HOME": str(self.folder / "state"),
        }
        ran = subprocess.run(
            [*([str(STRACE), *watch] if trace else []), sys.executable, "-c", DRIVER, todo, done],
            cwd=self.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            start_new_session=True,
        )
        assert ran.returncode == 0, ran.stderr
        assert "Traceback" not in ran.stderr
        return json.loads(done.read_text()), trace.read_text() if trace else ""

    def look_at(self, target: str) -> None:
        """Every verb that reads, over ``target``; fails when it was touched."""
        before = fingerprint(self.image)
        key = ["--key-file", "key"]
        commands = [
            ["list", target],
            ["show", target, "--map"],
            ["show", target, "--json"],
            ["diff", target, "healthy.img"],
            ["check", target],
            ["prove", target, *key],
            ["prove", self.uuid, "--data", target, *key],
            ["restore", self.uuid, target, "--dry-run"],
            ["export", self.uuid, "exported.img"],
            ["backup", target],
            ["stores", "check"],
            ["undo", target, "--list"],
            ["undo", target, "--dry-run"],
            ["ls", target, *key],
            ["extract", target, "plain.img", "--workers", "1", *key],
        ]
        statuses, trace = self.run(commands, self.folder / "trace")
        assert fingerprint(self.image) == before
        names = {target, os.path.realpath(target), str(self.image)}
        assert opened_at_all(trace, names)
        assert touches(trace, names) == []
        said = {" ".join(c): s for c, s in zip(commands, statuses, strict=True)}
        assert {c: s for c, s in said.items() if s not in LIKELY} == {}


def _unlocks(corpus, case_id: str) -> list[dict]:
    return [u for u in corpus.cases[case_id].get("unlock", ()) if u["opens"] and "passphrase" in u]


def fingerprint(path: Path) -> tuple[object, ...]:
    facts = path.stat()
    return hashlib.sha256(path.read_bytes()).hexdigest(), facts.st_size, facts.st_mtime_ns, facts.st_mode, facts.st_ino


def opened_at_all(trace: str, names: set[str]) -> bool:
    return any(f"= {fd}" for line in trace.splitlines() for fd in [_result_path(line)] if fd in names)


def touches(trace: str, names: set[str]) -> list[str]:
    """The lines of a trace in which the target was opened for more than reading, or changed."""
    found = []
    for line in trace.splitlines():
        call = re.match(r"\d+ +(\w+)\((.*)", line)
        if not call:
            continue
        name, rest = call.groups()
        if name in OPENING.split(","):
            is_target = _result_path(line) in names or any(f'"{n}"' in rest for n in names)
            if is_target and ("O_RDONLY" not in rest or re.search("O_RDWR|O_WRONLY|O_TRUNC|O_CREAT", rest)):
                found.append(line)
        elif name == "ioctl":
            if any(f"<{n}>" in rest for n in names) and re.search(CHANGING_IOCTLS, rest):
                found.append(line)
        elif any(f"<{n}>" in rest or f'"{n}"' in rest for n in names):
            found.append(line)
    return found


def _result_path(line: str) -> str:
    match = re.search(r"= \d+<([^<>]*)(?:<[^>]*>)?>$", line)
    return match.group(1) if match else ""


@pytest.mark.parametrize("case_id", CASES)
def test_a_file_is_only_read(corpus, tmp_path, case_id):
    look = Look(tmp_path, corpus, case_id)
    look.image.chmod(0o400)
    look.look_at(str(look.image))


@pytest.mark.parametrize(("case_id", "options"), DEVICES)
def test_a_device_is_only_read(corpus, tmp_path, loop_device, case_id, options):
    look = Look(tmp_path, corpus, case_id)
    look.look_at(loop_device(look.image, *options))


@pytest.mark.parametrize("flags", ["os.O_RDWR", "os.O_WRONLY"])
def test_the_trace_would_show_a_writer(tmp_path, flags):
    target = tmp_path / "target.img"
    target.write_bytes(b"x" * 512)
    code = f"import os; fd = os.open({str(target)!r}, {flags}); os.pwrite(fd, b'y', 0)"
    trace = tmp_path / "trace"
    watch = [str(STRACE), f"-e{OPENING},{CHANGING},ioctl", "-f", "-y", "-qq", "-o", str(trace)]
    subprocess.run([*watch, sys.executable, "-c", code], check=True)
    assert len(touches(trace.read_text(), {str(target)})) == 2

"""Where tests find the corpus of real LUKS images, and loop devices for those that may have them."""

from __future__ import annotations

import json
import logging
import lzma
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from luksafe import wall

ROOT = Path(__file__).resolve().parent.parent
CORPUS = Path(os.environ.get("LUKSAFE_CORPUS", ROOT.parent / "shared" / "corpus"))

# how long an example takes says more about what else the machine is doing than about the code
hypothesis.settings.register_profile("no-deadline", deadline=None)
hypothesis.settings.load_profile("no-deadline")


# started in the background of a script, SIGINT is ignored, and so it would be in every program that a test interrupts
signal.signal(signal.SIGINT, signal.default_int_handler)


class Corpus:
    """The manifest and, unpacked when asked for, the files of its cases."""

    def __init__(self, where: Path) -> None:
        self.where = where
        self.cases: dict[str, dict[str, Any]] = {
            case["id"]: case for case in json.loads((where / "cases.json").read_text())["cases"]
        }

    def data(self, case_id: str, name: str = "image") -> bytes:
        """The unpacked bytes of one file of a case."""
        entry = self.cases[case_id]["files"][name]
        raw = (self.where / entry["path"]).read_bytes()
        if entry["kind"] != "plain":
            raw = lzma.decompress(raw)
        if entry["kind"] != "patch":
            return raw
        out = bytearray(self.data(entry["base"], entry.get("base_file", "image"))[: entry["size"]])
        out += bytes(entry["size"] - len(out))
        at = 0
        for start, end in entry["ranges"]:
            out[start:end] = raw[at : at + end - start]
            at += end - start
        return bytes(out)

    def unpack(self, case_id: str, folder: Path) -> dict[str, Path]:
        """Write the files of a case to ``folder``, sparse; gives their paths by name."""
        paths = {}
        for name in self.cases[case_id]["files"]:
            paths[name] = folder / name
            write_sparse(paths[name], self.data(case_id, name))
        return paths


def write_sparse(path: Path, data: bytes) -> None:
    """Write ``data`` with holes where it is zero, so that big images cost little."""
    step = 65536
    with path.open("wb") as out:
        out.truncate(len(data))
        for at in range(0, len(data), step):
            block = data[at : at + step]
            if block.count(0) != len(block):
                out.seek(at)
                out.write(block)


@cache
def load_corpus() -> Corpus | None:
    """The corpus, or None where this machine has none."""
    return Corpus(CORPUS) if (CORPUS / "cases.json").exists() else None


@pytest.fixture(scope="session")
def corpus() -> Corpus:
    """The corpus of real images; skips where there is none."""
    found = load_corpus()
    if found is None:
        pytest.skip(f"no corpus of LUKS images at {CORPUS} (set LUKSAFE_CORPUS)")
    return found


@pytest.fixture
def loop_device() -> Iterator[Callable[..., str]]:
    """Attaches files to loop devices, ``loop_device(path, *losetup_options)``, and detaches them afterwards."""
    if os.geteuid() != 0 or shutil.which("losetup") is None or not Path("/dev/loop-control").exists():
        pytest.skip("loop devices need root, losetup and /dev/loop-control")
    attached = []

    def attach(path: Path, *options: str) -> str:
        command = ["losetup", "--find", "--show", *options, str(path)]
        attached.append(subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip())
        return attached[-1]

    yield attach
    for device in reversed(attached):
        subprocess.run(["partx", "--delete", device], capture_output=True)
        subprocess.run(["losetup", "--detach", device], check=True, capture_output=True)


@pytest.fixture
def partitioned_disk(loop_device: Callable[..., str]) -> Callable[[Path, str], str]:
    """Writes a partition table (as sfdisk reads it) to an image and attaches it: the disk."""
    if shutil.which("sfdisk") is None or shutil.which("partx") is None:
        pytest.skip("sfdisk and partx are not installed")

    def partition(image: Path, table: str) -> str:
        subprocess.run(["sfdisk", "--quiet", image], input=table, text=True, check=True)
        disk = loop_device(image)
        subprocess.run(["partx", "--add", disk], check=True)
        return disk

    return partition


@pytest.fixture(autouse=True)
def no_parser_stops(request: pytest.FixtureRequest) -> Iterator[None]:
    """What stops at a parser's wall is a fault, however well the program goes on: the test fails by it."""
    stops: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: stops.append(logging.Formatter().format(record))  # type: ignore[method-assign]
    wall.log.addHandler(handler)
    yield
    wall.log.removeHandler(handler)
    if not request.node.get_closest_marker("stops"):
        assert not stops, stops[0]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What the tests that try a great many cases saw, in a table."""
    reports = [report for group in ("passed", "failed") for report in terminalreporter.stats.get(group, [])]
    seen = [each for report in reports for each in report.user_properties]
    if accidents := [row for name, row in seen if name == "accident"]:
        _print_accidents(terminalreporter, accidents)
    if interruptions := [row for name, row in seen if name == "interruptions"]:
        _print_interruptions(terminalreporter, interruptions)


def _print_accidents(terminal: pytest.TerminalReporter, rows: list[dict[str, Any]]) -> None:
    terminal.section("accidents diagnosed")
    for row in sorted(rows, key=lambda row: (row["accident"], row["luks"])):
        terminal.line("{luks}  {accident:24}  {verdict:14}  {culprit}".format(**row))
    named = [row["culprit_right"] for row in rows if row["culprit_right"] is not None]
    right = sum(row["verdict_right"] for row in rows)
    terminal.line(f"verdict right in {right} of {len(rows)}, culprit right in {sum(named)} of {len(named)}")


def _print_interruptions(terminal: pytest.TerminalReporter, rows: list[dict[str, Any]]) -> None:
    """How often a write that was hit at each of its system calls left the old bytes, the new ones, or needed undo."""
    terminal.section("writes interrupted at every system call that writes")
    terminal.line(f"{'':19} {'':5} {'':4} {'fault':13} {'calls':>5} {'old':>5} {'new':>5} {'undo':>5}")
    for row in sorted(rows, key=lambda row: (row["verb"], row["luks"], row["device"], row["fault"])):
        terminal.line("{verb:19} {luks} {device:4} {fault:13} {calls:5} {old:5} {new:5} {between:5}".format(**row))
    terminal.line(f"{sum(row['calls'] for row in rows)} in all, each judged, and undone where it was not the old bytes")

"""Somebody who types what luksafe prints, word for word, and whether that leads into the volume."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from accidents.volumes import MIB, PASSPHRASE, Volume

from luksafe.cli.app import App
from luksafe.cli.main import main

WITH_YES = frozenset({"restore", "repair", "undo", "rebuild"})
WITH_KEY = frozenset({"prove", "restore", "repair", "extract", "ls", "diagnose"})
HARMLESS = frozenset({"gunzip", "gzip", "xz", "unxz", "zstd", "unzstd", "qemu-img", "tail", "dd", "losetup"})
PLACEHOLDER = re.compile(r"[A-Z]{2,}(\.{3})?")
COMMAND = re.compile(r"^\s*(?:next:|then:|-)?\s*((?:sudo )?luksafe .*)$", re.MULTILINE)
MOST_ROUNDS, MOST_COMMANDS = 6, 60
USAGE = 2


@dataclass
class Ran:
    words: list[str]
    status: int
    out: str
    err: str


@dataclass
class Person:
    """``folder`` holds the image and the vault; ``tried``: what was typed, and in which state of the image."""

    folder: Path
    volume: Volume
    name: str = "disk.img"
    tried: set[tuple[str, str]] = field(default_factory=set)
    log: list[str] = field(default_factory=list)
    usage_errors: list[str] = field(default_factory=list)
    loops: list[str] = field(default_factory=list)

    @property
    def image(self) -> Path:
        return self.folder / self.name

    @property
    def key_file(self) -> Path:
        path = self.folder / "passphrase"
        if not path.exists():
            path.write_bytes(PASSPHRASE)
        return path

    def luksafe(self, *words: object) -> Ran:
        App._current = None
        out, err = io.StringIO(), io.StringIO()
        arguments = ["--vault", str(self.folder / "vault"), *map(str, words)]
        before, environment = Path.cwd(), os.environ.get("XDG_STATE_HOME")
        os.chdir(self.folder)
        os.environ["XDG_STATE_HOME"] = str(self.folder / "state")
        status = 0
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                try:
                    main(arguments)
                except SystemExit as leave:
                    status = int(leave.code or 0)
        finally:
            os.chdir(before)
            if environment is None:
                del os.environ["XDG_STATE_HOME"]
            else:
                os.environ["XDG_STATE_HOME"] = environment
        ran = Ran([str(word) for word in words], status, out.getvalue(), err.getvalue())
        self.log.append(f"luksafe {shlex.join(ran.words)} -> {status} {ran.err.strip()[-300:]}")
        return ran

    def keep(self) -> None:
        """What a careful owner did while all was well: a backup, proven."""
        assert self.luksafe("backup", self.volume_target()).status in (0, 3), self.log
        proven = self.luksafe("prove", self.volume_target(), "--key-file", self.key_file)
        assert proven.status == 0, self.log

    def volume_target(self) -> Path:
        """Before the accident; of a partition, an image of it stands for the device that it has."""
        return self.image

    def diagnose(self, target: str) -> dict[str, Any]:
        ran = self.luksafe("diagnose", target, "--json")
        found: dict[str, Any] = json.loads(ran.out)
        return found

    def gets_in(self) -> bool:
        """Follow what diagnose prints until the volume is open, or nothing new is printed."""
        targets = [self.name]
        for _ in range(MOST_ROUNDS):
            state = self._state()
            for target in list(targets):
                for command in self._advised(target):
                    if len(self.log) > MOST_COMMANDS:
                        return False
                    if self._follow(command, targets) or self._is_open():
                        return True
            if state == self._state() and len(targets) == 1:
                break
        return self._is_open()

    def _advised(self, target: str) -> Iterator[str]:
        diagnosed = self.diagnose(target)
        if "next" not in diagnosed:
            return
        yield from diagnosed["next"]

    def _follow(self, command: str, targets: list[str], depth: int = 0) -> bool:
        """Whether this command, or what it prints in turn, shows the data."""
        if (command, self._state()) in self.tried:
            return False
        self.tried.add((command, self._state()))
        words = shlex.split(command)
        if words[0] == "sudo":
            words = words[1:]
        if any(PLACEHOLDER.fullmatch(word) for word in words):
            return False
        if words[0] != "luksafe":
            self._other_program(command, targets)
            return False
        ran = self._type(words[1:])
        if ran.status == USAGE:
            self.usage_errors.append(f"{command}: {ran.err.strip()[-300:]}")
        if words[1] in ("prove", "ls", "extract") and ran.status in (0, 3) and self._shows_data(ran):
            return True
        if self._is_open():
            return True
        printed = [match.group(1).split(" (")[0].strip() for match in COMMAND.finditer(ran.out + "\n" + ran.err)]
        return depth < 3 and any(self._follow(each, targets, depth + 1) for each in dict.fromkeys(printed))

    def _type(self, words: list[str]) -> Ran:
        """As printed, with what its owner would add when asked: a yes, and the passphrase."""
        verb, extra = words[0], []
        if verb in WITH_YES and "--dry-run" not in words:
            extra.append("--yes")
        has_key = any(word.startswith(("--key-file", "--identity", "--packet")) for word in words)
        if verb in WITH_KEY and not has_key and not (verb == "diagnose" and self._was_diagnosed(words)):
            extra += ["--key-file", str(self.key_file)]
        ran = self.luksafe(*words, *extra)
        if verb in ("restore", "repair") and "--dry-run" in words and ran.status == 0:
            again = [word for word in words if word != "--dry-run"]
            ran = self.luksafe(*again, "--yes", *extra)
        return ran

    def _was_diagnosed(self, words: list[str]) -> bool:
        return (shlex.join(words), self._state()) in self.tried

    def _other_program(self, command: str, targets: list[str]) -> None:
        """In a shell, as it is typed."""
        words = shlex.split(command.removeprefix("sudo "))
        if words[0] not in HARMLESS:
            return
        before = set(self.folder.iterdir())
        shell = ["bash", "-c", command.removeprefix("sudo ")]
        done = subprocess.run(shell, cwd=self.folder, capture_output=True, stdin=subprocess.DEVNULL, text=True)
        new = sorted(path.name for path in set(self.folder.iterdir()) - before)
        if words[0] == "losetup" and done.returncode == 0:
            new = [done.stdout.strip()]
            self.loops += new
        self.log.append(f"{command} -> {new}")
        targets += new

    def leave(self) -> None:
        """Detach what was attached."""
        for loop in self.loops:
            subprocess.run(["losetup", "--detach", loop], check=True)

    def _shows_data(self, ran: Ran) -> bool:
        return "ext4" in ran.out or "letter-1.txt" in ran.out

    def _is_open(self) -> bool:
        """Whether cryptsetup opens the volume now, at the start of a file or behind a shift, and the data are there."""
        for path in [*sorted(self.folder.glob("*")), *map(Path, self.loops)]:
            if path.is_dir() or (path.is_file() and path.stat().st_size < 2 * MIB):
                continue
            data = path.read_bytes()
            if self.volume.opens(data, 0, self.folder / "scratch"):
                return True
        return False

    def _state(self) -> str:
        return hashlib.sha256(self.image.read_bytes()).hexdigest()[:12]

"""One disk, its vault and stores, what its owner and accidents do to it, and luksafe as the owner would type it."""

from __future__ import annotations

import contextlib
import functools
import io
import json
import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from life import oracle
from life.oracle import DATA_OFFSET_BYTES, PBKDF, cryptsetup

from luksafe.cli.app import App
from luksafe.cli.main import main

IMAGE_BYTES = 5 << 20
FORMATS = {
    "luks1": ("--type", "luks1", "--pbkdf-force-iterations", "1000", "--align-payload", "6144"),
    "luks2": (
        *("--type", "luks2", *PBKDF, "--sector-size", "512", "--offset", "6144"),
        *("--luks2-metadata-size", "16k", "--luks2-keyslots-size", "2M"),
    ),
}
WITH_YES = frozenset({"restore", "repair", "forget", "undo", "rebuild"})
WITH_KEY = frozenset({"prove", "restore", "repair"})


@functools.cache
def plain_filesystem() -> bytes:
    """An ext4 filesystem as long as the data of the image."""
    with tempfile.NamedTemporaryFile() as file:
        file.truncate(IMAGE_BYTES - DATA_OFFSET_BYTES)
        subprocess.run(["mkfs.ext4", "-q", "-F", "-O", "^has_journal", file.name], check=True, capture_output=True)
        return Path(file.name).read_bytes()


@dataclass
class Ran:
    """What luksafe did."""

    words: tuple[str, ...]
    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass
class World:
    """The image and the vault stand on different filesystems, so that one copy is enough: ``copies = 1``."""

    folder: Path
    other_disk: Path
    passphrases: list[Path] = field(default_factory=list)
    key: bytes | None = None
    log: list[str] = field(default_factory=list)

    @classmethod
    def make(cls) -> World:
        folder = Path(tempfile.mkdtemp(prefix="life-", dir="/var/tmp"))
        other = Path(tempfile.mkdtemp(prefix="life-", dir="/dev/shm"))
        world = cls(folder, other)
        (folder / "scratch").mkdir()
        world.image.touch()
        os.truncate(world.image, IMAGE_BYTES)
        world.home.mkdir(mode=0o700)
        (world.home / "config.toml").write_text("copies = 1\n")
        assert world.luksafe("stores", "add", "stick", world.stick, "--own").status == 0, world.log
        return world

    def remove(self) -> None:
        shutil.rmtree(self.folder)
        shutil.rmtree(self.other_disk)

    @property
    def image(self) -> Path:
        return self.folder / "disk.img"

    @property
    def clone(self) -> Path:
        return self.folder / "clone.img"

    @property
    def home(self) -> Path:
        return self.other_disk / "vault"

    @property
    def stick(self) -> Path:
        return self.other_disk / "stick"

    @property
    def drawer(self) -> Path:
        """Where the stick lies when it is away."""
        return self.other_disk / "drawer"

    @property
    def scratch(self) -> Path:
        return self.folder / "scratch"

    def luksafe(self, *words: object) -> Ran:
        """Run luksafe in this process; a traceback fails the test."""
        App._current = None
        out, err = io.StringIO(), io.StringIO()
        arguments = ["--vault", str(self.home), *map(str, words)]
        state = str(self.other_disk / "state")
        old = os.environ.get("XDG_STATE_HOME")
        os.environ["XDG_STATE_HOME"] = state
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                try:
                    main(arguments)
                except SystemExit as leave:
                    status = int(leave.code or 0)
        finally:
            if old is None:
                del os.environ["XDG_STATE_HOME"]
            else:
                os.environ["XDG_STATE_HOME"] = old
        ran = Ran(tuple(map(str, words)), status, out.getvalue(), err.getvalue())
        self.log.append(f"luksafe {shlex.join(ran.words)} -> {status}  {ran.err.strip()[:300]}")
        return ran

    def cryptsetup(self, *words: object) -> int:
        done = cryptsetup(*words)
        self.log.append(f"cryptsetup {' '.join(map(str, words))} -> {done.returncode}")
        return done.returncode

    def new_passphrase(self) -> Path:
        path = self.folder / f"passphrase-{len(self.passphrases)}"
        path.write_bytes(f"passphrase number {len(self.passphrases)}".encode())
        self.passphrases.append(path)
        return path

    def format(self, kind: str, *, with_data: bool) -> None:
        """``luksFormat``: with new data in it, or by mistake, over a volume whose data are still there."""
        passphrase = self.new_passphrase()
        assert self.cryptsetup("luksFormat", *FORMATS[kind], self.image, passphrase) == 0
        if with_data:
            (self.key,) = oracle.volume_keys(self.image, [passphrase], self.scratch)
            with self.image.open("r+b") as image:
                image.seek(DATA_OFFSET_BYTES)
                image.write(oracle.crypt_data(self.key, plain_filesystem()))

    def opening(self, header: Path) -> list[Path]:
        """The passphrases that open the data of the image with this header."""
        data = oracle.data_of(self.image)
        return [
            passphrase
            for passphrase in self.passphrases
            if oracle.opens_data(oracle.volume_keys(header, [passphrase], self.scratch), data, plain_filesystem())
        ]

    def keyslot_openers(self) -> list[Path]:
        """The passphrases that cryptsetup takes for the header that is on the image now."""
        return [p for p in self.passphrases if oracle.volume_keys(self.image, [p], self.scratch)]

    def is_plain(self) -> bool:
        """Whether the data stand in the clear at the place of the data, or at the start."""
        whole, plain = self.image.read_bytes(), plain_filesystem()
        return plain[1024:65536] in whole

    def ways_in(self) -> list[str]:
        """Everything that opens the data: the image's own header, and every stored one."""
        if self.is_plain():
            return ["the data stand in the clear"]
        found = [f"the image, by {p.name}" for p in self.opening(self.image)]
        for packed, unpacked in oracle.stored_headers([self.home, self.stick, self.drawer], self.scratch):
            found += [f"{packed.parent.parent.name}/{packed.name}, by {p.name}" for p in self.opening(unpacked)]
        return found

    def needs_resume(self) -> bool:
        return oracle.is_in_reencryption(self.image, self.scratch)

    def advice_words(self, command: str) -> tuple[str, ...]:
        """The words of a printed command after ``luksafe``; none for another program's."""
        words = shlex.split(command)
        if words[:1] == ["sudo"]:
            words = words[1:]
        return tuple(words[1:]) if words[:1] == ["luksafe"] else ()

    def follow(self, command: str, passphrase: Path | None) -> Ran | None:
        """Do what luksafe advised, with what its owner would add: a yes, and the passphrase that is asked for."""
        words = self.advice_words(command)
        if not words or any(word.isupper() and word.isalpha() for word in words):
            return None  # another program's, or something that only a person can fill in
        verb = words[0]
        extra: list[object] = ["--yes"] if verb in WITH_YES else []
        if verb in WITH_KEY and passphrase is not None and "--key-file" not in words:
            extra += ["--key-file", passphrase]
        kept: Sequence[str] = [word for word in words if word != "--dry-run"]
        return self.luksafe(*kept, *extra)

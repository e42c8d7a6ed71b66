"""Secrets go nowhere but where they are asked for: not into arguments, the environment, files, messages or a core file.

Each verb runs under strace, which shows in hexadecimal every argument, environment and write, of cryptsetup as well.
"""

from __future__ import annotations

import base64
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import traceback
from pathlib import Path
from typing import Any

import escrow_samples as samples
import pytest
from cli.conftest import World
from generators.headers import PASSPHRASE, VOLUME_KEY, luks1_image, luks2_image

from luksafe.cli.app import App
from luksafe.cli.main import main

needs_tools = pytest.mark.skipif(
    None in map(shutil.which, ("strace", "cryptsetup")), reason="needs strace and cryptsetup"
)
CALLS = "execve,write,pwrite64,writev,pwritev,sendto,sendmsg"
ASIDE = ("/memfd:luksafe-key", "/dev/null")
"""Where a secret may be written: to the anonymous memory that cryptsetup reads it from."""
PACKET_PASSPHRASE = b"the words of the packet"
NEW = b"a new passphrase of nobody else"


@pytest.fixture(scope="module", autouse=True)
def ptrace(tmp_path_factory: pytest.TempPathFactory) -> None:
    if shutil.which("strace") and subprocess.run(["strace", "-o", "/dev/null", "true"], capture_output=True).returncode:
        pytest.skip("strace may not trace here")


def spellings(secret: bytes) -> set[bytes]:
    """The secret as it is, in hexadecimal, in Base64."""
    return {secret, secret.hex().encode(), secret.hex().upper().encode(), base64.b64encode(secret).rstrip(b"=")[:-1]}


def in_strace(data: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in data)


class Traced:
    """Runs verbs under strace; ``lines`` are the calls of all of them, ``said`` what they printed."""

    def __init__(self, world: World) -> None:
        self.world, self.lines, self.said = world, list[str](), b""

    def __call__(self, *arguments: object, statuses: tuple[int, ...] = (0,)) -> str:
        trace = self.world.folder / "trace"
        strace = ("strace", "-f", "-v", "-y", "-xx", "-s", "1000000", "-e", f"trace={CALLS}", "-o", str(trace))
        ran = self.world.process("-v", *arguments, prefix=strace)
        assert ran.status in statuses, ran.err
        self.lines += trace.read_text().splitlines()
        trace.unlink()
        self.said += ran.out.encode() + ran.err.encode()
        return ran.out

    def places(self, secret: bytes) -> set[str]:
        """The files that it was written to, and ``execve`` where a program got it."""
        wanted = [in_strace(each) for each in spellings(secret)]
        seen = [line for line in self.lines if any(each in line for each in wanted)]
        names = [re.search(r"(?:<([^>]*)>|(execve))", line) for line in seen]
        return {decoded(name[1] or name[2]) if name else line for name, line in zip(names, seen)}


def decoded(name: str) -> str:
    return re.sub(r"\\x([0-9a-f]{2})", lambda at: chr(int(at[1], 16)), name)


@needs_tools
@pytest.mark.slow
@pytest.mark.parametrize("image", [luks1_image(), luks2_image()], ids=["luks1", "luks2"])
def test_every_verb_of_escrow_under_strace(world: World, image: bytes) -> None:
    disk, run = world.image(data=image + bytes(1 << 20)), Traced(world)
    shares = world.folder / "shares"
    shares.mkdir()
    for name, data in (("words", PACKET_PASSPHRASE), ("new", NEW), ("identity", str(samples.age_identity()).encode())):
        (world.folder / name).write_bytes(data)
    to = ("--recipient", samples.age_identity().to_public())
    key, opener = ("--key-file", world.key_file), ("--identity", world.folder / "identity")
    run("escrow", "save", disk, *key, "--recovery-key", "--secret", "volume-key", *to, "--yes")
    [packet] = world.vault.glob("*/*.age")
    run("escrow", "save", disk, *key, "--shares", "2/2", "--shares-dir", shares)
    run("escrow", "save", disk, *key, "--recipient", "passphrase", "--packet-key-file", world.folder / "words")
    out = world.folder / "opened"
    run("escrow", "open", packet, *opener, "--secret", "passphrase", "--output", out)
    run("escrow", "verify", packet, disk, *opener)
    run("escrow", "reseal", packet, *opener, *to)
    run("escrow", "rotate", packet, disk, *opener, *to, "--yes", statuses=(0, 3))
    cheap = ("--pbkdf", "pbkdf2", "--pbkdf-force-iterations", 1000, "--new-key-file", world.folder / "new")
    run("escrow", "apply", packet, disk, *opener, *cheap, "--yes")
    run("check", disk, statuses=(0, 3, 10))

    recovery_key = out.read_bytes()
    share_words = [path.read_bytes().splitlines()[-1] for path in sorted(shares.iterdir())]
    nowhere = {
        "passphrase": PASSPHRASE,
        "packet's": PACKET_PASSPHRASE,
        "identity": str(samples.age_identity()).encode(),
    }
    aside = {"volume key": VOLUME_KEY, "new": NEW, "recovery key": recovery_key}
    assert len([line for line in run.lines if in_strace(b"luksAddKey") in line]) >= 3
    for name, secret in nowhere.items():
        assert run.places(secret) == set(), name
    for name, secret in aside.items():
        places = run.places(secret) - {str(out) if name == "recovery key" else ""}
        assert places and all(any(part in place for part in ASIDE) for place in places), (name, places)
    for path, words in zip(sorted(shares.iterdir()), share_words):
        assert len(words.split()) > 3
        written = run.places(words)
        assert written and all(str(shares) in place for place in written), (path, written)
    for secret in [*nowhere.values(), *aside.values(), *share_words]:
        assert not any(each in run.said for each in spellings(secret))

    given = {world.key_file, disk, out, *(world.folder / name for name in ("words", "new", "identity"))}
    for path in world.folder.rglob("*"):
        if path.is_file() and path not in given and path.parent != shares:
            data = path.read_bytes()
            for secret in [*nowhere.values(), *aside.values()]:
                assert not any(each in data for each in spellings(secret)), path


@pytest.mark.parametrize("where", ["luksafe.ops.escrow.volume.make_canary", "luksafe.ops.escrow.sealing.seal"])
def test_a_traceback_shows_no_secret(world: World, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    """A bug in the middle: neither the traceback nor what the frames' variables look like tell a key."""

    def bug(*arguments: Any, **options: Any) -> None:
        raise RuntimeError("a bug", arguments, options)

    disk = world.image()
    monkeypatch.setattr(where, bug)
    App._current = None
    to = ("--recipient", str(samples.age_identity().to_public()))
    secrets = ("--secret", "volume-key", "--secret", "passphrase")
    with pytest.raises(RuntimeError) as caught:
        main(
            ["--vault", str(world.vault), "escrow", "save", str(disk), "--key-file", str(world.key_file), *secrets, *to]
        )
    error = caught.value
    text = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format()).encode()
    assert b"a bug" in text and b"<secret, 64 bytes>" in text
    for secret in (VOLUME_KEY, PASSPHRASE):
        assert not any(each in text for each in {*spellings(secret), repr(secret)[2:-1].encode()})


@needs_tools
def test_a_crash_leaves_no_core_file(world: World) -> None:
    """Killed by a fault of the processor's kind while it seals, where the shell allows core files of any size."""
    disk, folder = world.image(), world.folder / "crash"
    folder.mkdir()
    if resource.getrlimit(resource.RLIMIT_CORE)[1] == 0:
        pytest.skip("no core files are allowed here at all")
    to = ("--recipient", str(samples.age_identity().to_public()), "--output", str(world.folder))
    command = [sys.executable, "-m", "luksafe", "--vault", str(world.vault), "escrow", "save", str(disk)]
    command += ["--key-file", str(world.key_file), *to]
    crash = ["strace", "-qq", "-o", "/dev/null", "-P", str(world.key_file), "-e", "trace=read"]
    crash += ["-e", "inject=read:signal=SEGV"]
    limited = ["sh", "-c", 'ulimit -c unlimited; cd "$0"; exec "$@"', str(folder), *crash, *command]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(limited, capture_output=True, env=environment)
    assert done.returncode in (-signal.SIGSEGV, 128 + signal.SIGSEGV), done.stderr
    assert list(folder.iterdir()) == []
    pattern = Path("/proc/sys/kernel/core_pattern").read_text().strip()
    if not pattern.startswith("|") and "/" not in pattern:
        own = subprocess.run([*limited[:4], "python3", "-c", "import os; os.abort()"], capture_output=True)
        assert own.returncode == -signal.SIGABRT
        assert list(folder.iterdir()), "without our limit there would have been one"

"""Keys as cryptsetup takes them: a prompt on the terminal, a key file (bytes exact), standard input."""

from __future__ import annotations

import os
import sys
import termios
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import click

from luksafe.cli.app import App
from luksafe.cli.echo_off import echo_off
from luksafe.crypto.kdf import KdfLimits, available_memory_kib
from luksafe.errors import NotFound, UsageError
from luksafe.secret import SecretBytes
from luksafe.visible import visible

MAX_KEY_FILE_BYTES = 8 << 20
MAX_PASSPHRASE_BYTES = 512
KEY_OPTION_NAMES = ("key_file", "keyfile_offset", "keyfile_size", "key_slot", "volume_key_file", "packet")
LIMIT_OPTION_NAMES = ("max_kdf_memory", "max_kdf_time", "max_kdf_iterations")


@dataclass(frozen=True)
class KeyOptions:
    """The key options of one call; sizes and offsets are bytes."""

    key_file: str | None = None
    keyfile_offset: int = 0
    keyfile_size: int | None = None
    key_slot: int | None = None
    volume_key_file: str | None = None
    packet: str | None = None
    limits: KdfLimits = field(default_factory=KdfLimits)

    @property
    def is_given(self) -> bool:
        """Whether the command line names a key at all."""
        return any((self.key_file, self.volume_key_file, self.packet))

    def passphrase(self, what_for: str) -> SecretBytes:
        """The passphrase from the key file, else typed on the terminal. Raises UsageError when there is neither."""
        if self.key_file:
            return read_key_file(self.key_file, self.keyfile_offset, self.keyfile_size)
        return ask_passphrase(f"Passphrase for {what_for}: ")

    def volume_key(self) -> SecretBytes:
        """The volume key from ``--volume-key-file``."""
        return read_key_file(self.volume_key_file or "-")


def key_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The key options; the function gets them as one ``key: KeyOptions``."""
    return key_options_without_packet(click.option("--packet", help="An escrow packet that holds the key.")(function))


def key_options_without_packet(function: Callable[..., Any]) -> Callable[..., Any]:
    """The key options of a verb that opens no packet."""

    def run(*args: Any, **options: Any) -> Any:
        values = {name: options.pop(name) for name in KEY_OPTION_NAMES if name in options}
        limits = {name: options.pop(name) for name in LIMIT_OPTION_NAMES}
        key = KeyOptions(**values, limits=_limits(**limits))
        with nullcontext() if key.is_given else echo_off():
            return function(*args, key=key, **options)

    run.__doc__, run.__name__ = function.__doc__, function.__name__
    run.__dict__.update(function.__dict__)
    for option in reversed(
        (
            click.option("--key-file", help="Read the passphrase from a file, bytes exact; - is standard input."),
            click.option("--keyfile-offset", type=click.IntRange(0), default=0, help="Bytes to skip in the key file."),
            click.option("--keyfile-size", type=click.IntRange(1), help="Bytes to read from the key file."),
            click.option("--key-slot", type=click.IntRange(0, 31), help="Try this keyslot only."),
            click.option("--volume-key-file", help="The volume key itself, raw bytes."),
            click.option("--max-kdf-memory", type=click.IntRange(1), help="Let a keyslot use this much memory (KiB)."),
            click.option("--max-kdf-time", type=click.IntRange(1), help="Let it take this many Argon2 passes per GiB."),
            click.option("--max-kdf-iterations", type=click.IntRange(1), help="Let it take this many iterations."),
        )
    ):
        run = option(run)
    return run


def _limits(max_kdf_memory: int | None, max_kdf_time: int | None, max_kdf_iterations: int | None) -> KdfLimits:
    usual = KdfLimits()
    return KdfLimits(
        memory_kib=max_kdf_memory or usual.memory_kib,
        time_cost=max_kdf_time or usual.time_cost,
        iterations=max_kdf_iterations or usual.iterations,
        available_memory_kib=available_memory_kib(),
        tell=lambda text: App.current().say(text),
    )


def read_key_file(name: str, offset_bytes: int = 0, size_bytes: int | None = None) -> SecretBytes:
    """The bytes of a key file, exactly; ``-`` is standard input. Raises NotFound, UsageError."""
    if name == "-":
        if sys.stdin.isatty():
            raise UsageError("--key-file - reads standard input, which is the terminal; leave it out to be asked")
        return _read_bounded(sys.stdin.fileno(), name, offset_bytes, size_bytes)
    try:
        fd = os.open(name, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as problem:
        raise NotFound(f"key file {name}: {problem.strerror}", hint="check the path given to --key-file") from None
    try:
        return _read_bounded(fd, name, offset_bytes, size_bytes)
    finally:
        os.close(fd)


def _read_bounded(fd: int, name: str, offset_bytes: int, size_bytes: int | None) -> SecretBytes:
    wanted = offset_bytes + (MAX_KEY_FILE_BYTES + 1 if size_bytes is None else size_bytes)
    if wanted > 2 * MAX_KEY_FILE_BYTES:
        raise UsageError(f"a key file is read up to {MAX_KEY_FILE_BYTES} bytes; use a smaller offset or size")
    buffer = bytearray()
    try:
        while len(buffer) < wanted:
            piece = os.read(fd, wanted - len(buffer))
            if not piece:
                break
            buffer += piece
    except OSError as problem:
        raise NotFound(f"key file {name}: {problem.strerror}") from None
    if size_bytes is None and len(buffer) - offset_bytes > MAX_KEY_FILE_BYTES:
        raise UsageError(f"key file {name} has more than {MAX_KEY_FILE_BYTES} bytes; give --keyfile-size")
    if size_bytes is not None and len(buffer) < wanted:
        raise UsageError(f"key file {name} has fewer than {wanted} bytes")
    del buffer[:offset_bytes]
    return SecretBytes.take(buffer)


def ask_passphrase(prompt: str, option: str = "--key-file") -> SecretBytes:
    """Ask on the terminal itself, echo off; the line without its newline. Raises UsageError, which names the option
    that gives it instead, without a terminal."""
    try:
        fd = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        raise UsageError(
            "there is no terminal to ask for a passphrase",
            hint=f"give {option} FILE, or {option} - to read it from standard input",
        ) from None
    try:
        return _read_without_echo(fd, prompt)
    finally:
        os.close(fd)


def ask_new_passphrase(prompt: str, option: str = "--key-file") -> SecretBytes:
    """Ask twice for a new passphrase. Raises UsageError when the two differ or are empty."""
    first, second = ask_passphrase(f"{prompt}: ", option), ask_passphrase(f"{prompt} (again): ", option)
    if first != second:
        raise UsageError("the two passphrases differ; nothing was done")
    if not len(first):
        raise UsageError("the passphrase is empty; nothing was done")
    second.wipe()
    return first


def _read_without_echo(fd: int, prompt: str) -> SecretBytes:
    before = termios.tcgetattr(fd)
    silent = [*before[:3], before[3] & ~termios.ECHO, *before[4:]]
    line = bytearray()
    try:
        termios.tcsetattr(fd, termios.TCSAFLUSH, silent)
        os.write(
            fd, visible(prompt).encode("utf-8", "replace")
        )  # not before: what is typed at once would be shown, and lost
        while not line.endswith(b"\n") and len(line) <= MAX_PASSPHRASE_BYTES:
            piece = os.read(fd, 1024)
            if not piece:
                break
            line += piece
    finally:
        termios.tcsetattr(fd, termios.TCSAFLUSH, before)
        os.write(fd, b"\n")
    if line.endswith(b"\n"):
        del line[-1]
    if len(line) > MAX_PASSPHRASE_BYTES:
        raise UsageError(f"a typed passphrase has at most {MAX_PASSPHRASE_BYTES} bytes; use --key-file")
    return SecretBytes.take(line)

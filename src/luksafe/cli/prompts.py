"""Questions that decide something: asked on the terminal, answered with a typed word, never assumed to be yes."""

from __future__ import annotations

import os

from luksafe.cli.app import App
from luksafe.cli.echo_off import echo_on
from luksafe.errors import Refused, UsageError
from luksafe.visible import visible


def confirm(app: App, question: str, word: str = "YES") -> None:
    """Ask for ``word`` in capitals. ``--yes`` answers it; without a terminal and without ``--yes`` it fails.

    Raises UsageError without a terminal, Refused on any other answer.
    """
    if app.yes:
        return
    hint = "if what is said above is what you want, repeat the command with --yes"
    answer = ask(f"{question} Type {word} to go on: ", hint)
    if answer != word:
        said = f"you typed {visible(answer)!r}, not {word}" if answer else "you typed nothing"
        hint = f"to go on it takes {word}, in capitals; run it again when you are sure"
        raise Refused(f"not confirmed ({said}); nothing was written", code="not-confirmed", hint=hint)


def has_terminal() -> bool:
    """Whether there is somebody to ask."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return False
    return True


def ask(prompt: str, hint: str = "run it in a terminal") -> str:
    """One line typed on the terminal. Raises UsageError when there is none."""
    try:
        fd = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        raise UsageError(
            "this needs an answer, and there is no terminal; nothing was written",
            hint=hint,
        ) from None
    try:
        line = b""
        with echo_on(fd):
            os.write(fd, visible(prompt).encode("utf-8", "replace"))
            while not line.endswith(b"\n"):
                piece = os.read(fd, 1024)
                if not piece:
                    break
                line += piece
        return line.decode("utf-8", "replace").strip()
    finally:
        os.close(fd)

"""``luksafe mount``: the decrypted data as a file."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable
from pathlib import Path

import click

from luksafe.cli.app import EXIT_WARNINGS, App, verb
from luksafe.cli.terminal import echo
from luksafe.cli.viewing import ViewOptions, view_options
from luksafe.errors import LuksafeError, NotFound
from luksafe.view.fuse import FILE_NAME, mount
from luksafe.view.process import fork_worker


@verb
@view_options
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--volume", "inner", default="", help="A volume inside: a partition (p1) or a logical volume (group/root)."
)
@click.option("--allow-other", is_flag=True, help="Let other users read it too.")
@click.option("--background", is_flag=True, help="Return once it is mounted; end it with: fusermount3 -u DIR")
def command(app: App, view: ViewOptions, folder: Path, inner: str, allow_other: bool, background: bool) -> int:
    """Show the decrypted data of TARGET as the read-only file DIR/volume, until Ctrl-C or 'fusermount3 -u DIR'.

    The files in it: mount -o ro,loop DIR/volume /mnt, as root; or without root: luksafe ls, luksafe cp.
    """
    if not folder.is_dir():
        raise NotFound(f"no such folder: {folder}", hint=f"make it first: mkdir {folder}")
    with view.open(app) as opened:
        reader = opened.inner(inner).reader if inner else opened.volume

        def serve(on_ready: Callable[[], None]) -> None:
            if reader is not None:
                mount(reader, folder, allow_other=allow_other, on_ready=on_ready)

        def ready() -> None:
            file = folder / FILE_NAME
            result = {"file": str(file), "size": opened.volume.size_bytes, "found": opened.found}
            app.emit(result, lambda: echo(str(file)))
            app.say(f"mounted; look inside with: mount -o ro,loop {shlex.quote(str(file))} /mnt")
            app.say(f"to end it: {'' if background else 'Ctrl-C, or '}fusermount3 -u {shlex.quote(str(folder))}")

        if background:
            _in_background(serve)
            ready()
        else:
            serve(ready)
    return EXIT_WARNINGS if opened.warnings else 0


def _in_background(serve: Callable[[Callable[[], None]], None]) -> None:
    """Run ``serve`` in a process of its own; returns when it is ready. Raises ``LuksafeError`` when it ends before."""
    receiver, sender = os.pipe()

    def run() -> None:
        os.setsid()
        os.close(receiver)
        try:
            serve(lambda: _tell(sender))
        except LuksafeError as error:
            App.current().report_error(error)

    fork_worker(run)
    os.close(sender)
    if not os.read(receiver, 1):
        raise LuksafeError("it was not mounted: see above", hint="without --background it says more")
    os.close(receiver)


def _tell(sender: int) -> None:
    """Say that it is ready, and let go of the terminal."""
    os.write(sender, b"+")
    os.close(sender)
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    os.close(null)

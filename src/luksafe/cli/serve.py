"""``luksafe serve``: the decrypted data over NBD."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import quote

import click

from luksafe.cli.app import EXIT_WARNINGS, App, verb
from luksafe.cli.terminal import echo
from luksafe.cli.viewing import ViewOptions, view_options
from luksafe.errors import Refused, UsageError
from luksafe.ops.view import View
from luksafe.reader import Reader
from luksafe.view.nbd.export import Export
from luksafe.view.nbd.listen import listen_tcp, listen_unix
from luksafe.view.nbd.server import serve
from luksafe.view.overlay import Overlay

LOCAL_USERS_FLAG = "--allow-local-users"
DEFAULT_PORT, MOST_PORT = 10809, 65535


@verb
@view_options
@click.option(
    "--socket", "socket_path", type=click.Path(path_type=Path), help="The unix socket; a private one otherwise."
)
@click.option("--tcp", metavar="[HOST:]PORT", help="TCP on this machine instead: 127.0.0.1:10809 and the like.")
@click.option(LOCAL_USERS_FLAG, "for_all", is_flag=True, help="With --tcp: every user of this machine may read it.")
@click.option(
    "--overlay", type=click.Path(path_type=Path), help="Take writes into this file, so that repairs can be tried."
)
@click.option(
    "--volume", "inner", default="", help="A volume inside: a partition (p1) or a logical volume (group/root)."
)
@click.option("--workers", type=click.IntRange(1, 64), help="Processes that decrypt; one for each core otherwise.")
def command(
    app: App,
    view: ViewOptions,
    socket_path: Path | None,
    tcp: str | None,
    for_all: bool,
    overlay: Path | None,
    inner: str,
    workers: int | None,
) -> int:
    """Serve the decrypted data of TARGET over NBD, read-only, until Ctrl-C; prints the address.

    With --overlay FILE clients may write: to FILE, never to the disk. Try fsck on what is served.
    """
    if socket_path and tcp:
        raise UsageError("--socket and --tcp exclude each other")
    if tcp:
        _require_consent(app, for_all=for_all, writable=overlay is not None)
    with view.open(app) as opened, ExitStack() as stack:
        reader: Reader = (opened.inner(inner).reader if inner else None) or opened.volume
        name = opened.uuid or "volume"
        if tcp:
            host, port = _address(tcp)
            listener = stack.enter_context(listen_tcp(host, port))
            where = f"[{host}]" if ":" in host else host
            uri = f"nbd://{where}:{listener.getsockname()[1]}/{name}"
        else:
            path = socket_path or _default_socket(name)
            listener = stack.enter_context(listen_unix(path))
            uri = f"nbd+unix:///{name}?socket={quote(os.fspath(path.absolute()))}"
        writable = stack.enter_context(Overlay(reader, overlay, opened.uuid)) if overlay else None
        export = Export(writable or reader, name, opened.description, writable)
        serve(export, listener, workers=workers, on_ready=lambda: _say_ready(app, opened, uri, export))
    return EXIT_WARNINGS if opened.warnings else 0


def _require_consent(app: App, *, for_all: bool, writable: bool) -> None:
    """A TCP port has no owner: what a unix socket keeps to one user is then everybody's on this machine."""
    what = "read the decrypted data, and write to the overlay" if writable else "read the decrypted data"
    if not for_all:
        raise Refused(
            f"every user of this machine could {what} over TCP, for NBD asks for no password",
            hint=f"leave out --tcp for a unix socket that only you can reach (ssh -L forwards it too), or add "
            f"{LOCAL_USERS_FLAG}",
        )
    app.warn(f"every user of this machine can {what} while this runs")


def _say_ready(app: App, opened: View, uri: str, export: Export) -> None:
    result = {
        "uri": uri,
        "size": export.size_bytes,
        "found": opened.found,
        "writable": export.writable is not None,
        "warnings": list(opened.warnings),
    }
    app.emit(result, lambda: echo(uri))
    sys.stdout.flush()
    app.say(f"try: nbdinfo '{uri}'; or as root: nbd-client, then mount -o ro; Ctrl-C ends it")


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not re.fullmatch("[0-9]{1,5}", port) or int(port) > MOST_PORT:
        raise UsageError(f"not an address: {text}", hint=f"use a port, or HOST:PORT such as 127.0.0.1:{DEFAULT_PORT}")
    return host.strip("[]") or "127.0.0.1", int(port)


def _default_socket(name: str) -> Path:
    """In the user's runtime folder, else in a new private folder."""
    runtime = os.environ.get("XDG_RUNTIME_DIR") or ("/run" if os.geteuid() == 0 else "")
    if runtime and Path(runtime).is_dir():
        return Path(runtime) / f"luksafe-{name}.sock"
    return Path(tempfile.mkdtemp(prefix="luksafe-")) / "nbd.sock"

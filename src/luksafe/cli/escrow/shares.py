"""Shares: gathered one by one from files, scans and typing; printed to be handed out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from luksafe.cli.app import App
from luksafe.cli.input_file import read_input
from luksafe.cli.prompts import ask
from luksafe.cli.text import count
from luksafe.errors import DamagedInput, LuksafeError, UsageError
from luksafe.escrow.public_part import Shares
from luksafe.escrow.recipients.passphrase import Passphrase
from luksafe.escrow.share_file import render_share
from luksafe.escrow.share_typos import propose_words
from luksafe.escrow.sharing import Share, ShareCollector
from luksafe.ops.escrow.sealing import Sealed
from luksafe.paper.picture import is_scan
from luksafe.paper.scan import read_scans
from luksafe.paper.sheet import SheetKind

MAX_SHARE_BYTES = 1 << 16


def collect_shares(app: App, expected: Shares | None, files: Sequence[str]) -> Passphrase:
    """The packet's passphrase, from share files, scans of sheets, and typing until there are enough.

    Raises UsageError when shares are wanted still and there is no terminal; DamagedInput for a share that is none.
    """
    collector = ShareCollector(expected)
    for name in files:
        for words in _words_in(name):
            _take(app, collector, words, name)
    while not collector.is_complete:
        try:
            typed = ask(_prompt(collector))
        except UsageError as error:
            error.hint = "give the others by --share FILE"
            error.args = (f"{_state(collector)}, and there is no terminal to type them",)
            raise
        _take_typed(app, collector, typed)
    return collector.passphrase()


def _words_in(name: str) -> Iterator[str]:
    """The shares in a file: words, or a scanned sheet (or several)."""
    if name != "-" and is_scan(Path(name)):
        yield from _words_on_sheets(Path(name))
        return
    yield read_input(name, MAX_SHARE_BYTES).reveal().decode("utf-8", "replace")


def _words_on_sheets(scan: Path) -> Iterator[str]:
    sheets = [parts for parts in read_scans([scan]).sheets.values() if parts.head]
    shares = [parts for parts in sheets if parts.head and parts.head.kind is SheetKind.SHARE]
    if not shares:
        kinds = ", ".join(sorted({parts.head.kind.word for parts in sheets if parts.head}))
        raise DamagedInput(
            f"{scan}: no code of a share was found" + (f", only a sheet of the kind {kinds}" if kinds else ""),
            hint="scan it again, flat and with 300 dpi, or type its words: leave this --share out",
        )
    for parts in shares:
        yield parts.payload().payload.reveal().decode("utf-8", "replace")


def _take(app: App, collector: ShareCollector, words: str, name: str) -> None:
    try:
        share = collector.add(words)
    except UsageError as error:
        if error.code != "duplicate-share":
            raise
        app.warn(f"{name}: {error}")
        return
    except DamagedInput as error:
        raise DamagedInput(f"{name}: {error}", hint=error.hint) from None
    app.say(f"share {share.number} of set {share.share_set!r} is in: {_state(collector)}")


def _take_typed(app: App, collector: ShareCollector, typed: str) -> None:
    """One share from the terminal; what is wrong with it is said, and the next line is another try."""
    if not typed.strip():
        raise UsageError(f"{_state(collector)}; nothing was typed")
    share: Share | None
    try:
        share = collector.add(typed)
    except LuksafeError as error:
        share = _proposed(app, collector, typed, error)
    if share is not None:
        app.say(f"share {share.number} of set {share.share_set!r} is in: {_state(collector)}")


def _proposed(app: App, collector: ShareCollector, typed: str, error: LuksafeError) -> Share | None:
    """Typing errors: say what may have been meant; take the only proposal when the keeper says so."""
    app.warn(f"{error}; {error.hint}" if error.hint else str(error))
    proposals = propose_words(typed) if isinstance(error, DamagedInput) else []
    if len(proposals) != 1 or ask("Is that what the sheet says? Type YES to take it: ") != "YES":
        return None
    try:
        return collector.add(" ".join(proposals[0]))
    except LuksafeError as again:
        app.warn(f"{again}; {again.hint}" if again.hint else str(again))
        return None


def _prompt(collector: ShareCollector) -> str:
    start = f" of the set that begins {collector.share_set!r}" if collector.share_set else ""
    return f"{_state(collector)}. Type the words of a share{start}: "


def _state(collector: ShareCollector) -> str:
    numbers = ", ".join(map(str, collector.numbers))
    there = f" (number {numbers})" if numbers else ""
    wanted = count(collector.wanted, "more share") if collector.threshold else "the first"
    return f"{count(len(collector.numbers), 'share')} in{there}, {wanted} wanted"


def share_lines(sealed: Sealed) -> Iterator[str]:
    """All shares as text, for standard output."""
    for share in sealed.shares:
        yield from render_share(share, sealed.public).decode().split("\n")

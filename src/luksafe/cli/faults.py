"""With ``-v`` the faults that stopped at a parser's wall are shown, with the place where each was raised."""

from __future__ import annotations

import logging

from luksafe.cli.terminal import echo
from luksafe.wall import log


class _Shown(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        for line in self.format(record).splitlines():
            echo(line, err=True)


_handler = _Shown()


def show_faults(*, wanted: bool) -> None:
    """Show them from now on, or no longer."""
    if wanted:
        log.addHandler(_handler)
    else:
        log.removeHandler(_handler)

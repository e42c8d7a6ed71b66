"""Stores that lack a copy of what was kept in another one, and how they get it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from luksafe.vault.report import Away, Problem

_NOT_BY_SYNC = ("forgotten", "store-failing")


def missing_copies(away: Iterable[Away], problems: Iterable[Problem]) -> Iterator[str]:
    """A line for each store that is away or failed."""
    for store in away:
        yield f"  away    {store.name} ({store.where}) will get it with 'luksafe sync'"
    for problem in problems:
        yield f"  problem {problem.store}: {problem.text}"
        if problem.code not in _NOT_BY_SYNC:
            yield f"  next    luksafe sync   (when {problem.store} takes files again)"

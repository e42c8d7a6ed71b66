"""Typing errors in a share: which words may have been meant. The share's checksum confirms every proposal.

The checksum is linear, so what a change of one word does to it is a table; wrong words are found by looking up what is
missing, without trying all 2^10 or 2^20 possibilities one by one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

from luksafe.errors import DamagedInput
from luksafe.escrow.share_words import (
    EXTENDABLE,
    NOT_EXTENDABLE,
    WORDS,
    customization,
    feed_checksum,
    is_right,
    known_word,
    typed_words,
    wordlist,
)

MOST_PROPOSALS = 3
MOST_UNKNOWN = 3
NEAREST = 60

Words = tuple[str, ...]


def read_words(text: str) -> Words:
    """The twenty words of a share; raises DamagedInput, with what may have been meant in its hint."""
    typed = typed_words(text)
    words = [known_word(word) for word in typed]
    if len(typed) == WORDS and None not in words:
        known = tuple(word or "" for word in words)
        if is_right(known):
            return known
    raise DamagedInput(_what_is_wrong(typed, words), hint=_hint(typed, propose_words(text)))


def propose_words(text: str) -> list[Words]:
    """Right shares that the typed one may have been meant to be, the most likely first; empty when nothing is near."""
    typed = typed_words(text)
    if not WORDS - 1 <= len(typed) <= WORDS + 1:
        return []
    found = {words: _difference(typed, words) for words in _candidates(typed) if is_right(words)}
    return sorted(found, key=lambda words: found[words])[:MOST_PROPOSALS]


def _candidates(typed: list[str]) -> Iterator[Words]:
    words = [known_word(word) for word in typed]
    if len(typed) > WORDS:  # one word too many
        for at in range(len(words)):
            rest = words[:at] + words[at + 1 :]
            if None not in rest:
                yield tuple(word or "" for word in rest)
    elif len(typed) < WORDS:  # one word missing
        for at in range(WORDS):
            yield from _solve([*words[:at], None, *words[at:]], [at], typed)
    elif unknown := [at for at, word in enumerate(words) if word is None]:
        yield from _solve(words, unknown, typed)
    else:  # two neighbours swapped, or one word that is another word
        known = [word or "" for word in words]
        yield from ((*known[:at], known[at + 1], known[at], *known[at + 2 :]) for at in range(WORDS - 1))
        for at in range(WORDS):
            yield from _solve([*known[:at], None, *known[at + 1 :]], [at], typed)


def _solve(words: Sequence[str | None], unknown: list[int], typed: list[str]) -> Iterator[Words]:
    """All ways to fill the unknown places so that the checksum is right (three places: with near words only)."""
    if sum(word is None for word in words) != len(unknown) or len(unknown) > MOST_UNKNOWN:
        return
    names = list(wordlist())
    indices = [0 if word is None else wordlist()[word] for word in words]
    tables = [_effects(at) for at in unknown]
    last = {effect: index for index, effect in enumerate(tables[-1])}
    choices = [_choices(typed[at], len(unknown)) for at in unknown[:-1]]
    for name in (EXTENDABLE, NOT_EXTENDABLE):
        missing = feed_checksum(feed_checksum(1, name), indices) ^ 1
        for chosen in product(*choices):
            rest = missing
            for table, index in zip(tables, chosen):
                rest ^= table[index]
            if rest in last:
                filled = list(indices)
                for at, index in zip(unknown, (*chosen, last[rest]), strict=True):
                    filled[at] = index
                if customization(filled) == name:
                    yield tuple(names[index] for index in filled)


def _choices(typed: str, unknown_count: int) -> list[int]:
    """Which words to try in a place: all of them, or the nearest when there are three places to fill."""
    indices = list(range(len(wordlist())))
    if unknown_count < MOST_UNKNOWN:
        return indices
    names = list(wordlist())
    return sorted(indices, key=lambda index: edit_distance(typed, names[index]))[:NEAREST]


def _effects(at: int) -> list[int]:
    """What each word in this place adds to the checksum's final state."""
    basis = [feed_checksum(0, [1 << bit] + [0] * (WORDS - 1 - at)) for bit in range(10)]
    effects = [0]
    for effect in basis:
        effects += [other ^ effect for other in effects]
    return effects


def _difference(typed: list[str], words: Words) -> int:
    """How far two lists of words are apart, letter by letter; one word more or less counts little."""
    return edit_distance(" ".join(typed), " ".join(words))


def edit_distance(a: str, b: str) -> int:
    """How many letters to insert, delete, replace or swap with the next one (Damerau and Levenshtein)."""
    before: list[int] = []
    above = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        row = [i]
        for j, y in enumerate(b, 1):
            cost = min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (x != y))
            if i > 1 and j > 1 and x == b[j - 2] and a[i - 2] == y:
                cost = min(cost, before[j - 2] + 1)
            row.append(cost)
        before, above = above, row
    return above[-1]


def _what_is_wrong(typed: list[str], words: list[str | None]) -> str:
    unknown = [f"{at + 1} ({typed[at]!r})" for at, word in enumerate(words) if word is None]
    count = "" if len(typed) == WORDS else f"a share has {WORDS} words, this has {len(typed)}"
    if unknown and len(unknown) <= WORDS // 2:
        return (count + "; " if count else "") + f"not in the word list: word {', '.join(unknown)}"
    return count or ("this is no share" if unknown else "a word of this share is not the one that was printed")


def _hint(typed: list[str], proposals: list[Words]) -> str:
    if not proposals:
        return "compare it with the sheet word by word"
    return "; or ".join(_proposal(typed, words) for words in proposals) + ": compare with the sheet"


def _proposal(typed: list[str], words: Words) -> str:
    if len(typed) == WORDS:
        pairs = [
            f"word {at + 1}: {b}" for at, (a, b) in enumerate(zip(typed, words, strict=True)) if known_word(a) != b
        ]
        return "perhaps " + ", ".join(pairs)
    at = next((i for i, (a, b) in enumerate(zip(typed, words)) if known_word(a) != b), min(len(typed), WORDS))
    return (
        f"perhaps word {at + 1} is missing: {words[at]}" if len(typed) < WORDS else f"perhaps word {at + 1} is too much"
    )

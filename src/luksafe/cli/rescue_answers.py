"""What a rescue asks at its prompts, and what the exit statuses of its commands mean in words."""

from __future__ import annotations

IN_VAIN = {
    10: "it says no",
    11: "what was typed opens nothing",
    12: "what it reads is damaged",
    13: "it is of a kind that luksafe does not know",
}
"""Exit statuses after which the same again would say the same again."""
OTHER_ANSWERS = ("o: add an option", "s: skip it", "b: back to the ways", "q: leave")
STATUS_WORDS = {
    1: "it failed",
    2: "the command was not understood",
    10: "the answer is no",
    11: "the key was not accepted",
    12: "what it read is damaged",
    13: "it is of a kind that luksafe does not know",
    14: "it refused, for safety; it says which option overrides that",
    15: "something that it needs is not there",
    16: "the device is in use",
    127: "the program is not installed",
    130: "it was interrupted",
}


def question(has_ways: bool, has_more: bool) -> str:
    """What is asked below the ways: one line of a terminal."""
    if not has_more:
        number = "Which way? A number; " if has_ways else ""
        return f"{number}f: I have a backup or packet in a file; q: leave:"
    return f"{'A number; ' if has_ways else ''}f: I have something in a file; a: all ways again; q: leave:"

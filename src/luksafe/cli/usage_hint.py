"""What to type after a wrong command line."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches

import click


def usage_hint(error: click.ClickException, words: Sequence[str]) -> str:
    """The help of the verb that was called, or of the one whose name is nearest to a name that no verb has."""
    context = error.ctx if isinstance(error, click.UsageError) else None
    if context is None:
        return ""
    path, group = context.command_path, context.command
    verbs = group.list_commands(context) if isinstance(group, click.Group) else []
    unknown = [word for word in words if repr(word) in error.message] if verbs else []
    near = next((name for word in unknown for name in get_close_matches(word, verbs, 1)), "")
    return f"{path} {near} --help   (did you mean {near}?)" if near else f"{path} --help"

"""The entry point: find the verb, run it, and turn every error into one clear message and an exit status."""

from __future__ import annotations

import importlib
import os
import select
import sys
from typing import Any, NoReturn

import click
from click.shell_completion import shell_complete

from luksafe import __version__
from luksafe.cli.app import EXIT_DONE, App, global_options
from luksafe.cli.terminal import echo, screened_streams
from luksafe.cli.verbs import EXAMPLES, FIRST_STEPS, SECTIONS, VERBS
from luksafe.errors import LuksafeError, UsageError

EXIT_USAGE, EXIT_INTERRUPTED, EXIT_UNREAD = 2, 130, 141
_COMPLETE = "_LUKSAFE_COMPLETE"


class LazyGroup(click.Group):
    """A group that imports a verb's module only when that verb is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All verbs, in the order of the table."""
        return [verb.name for verb in VERBS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command behind a verb; None when there is no such verb."""
        for verb in VERBS:
            if verb.name == cmd_name:
                command: click.Command = importlib.import_module(verb.module).command
                if verb.name in EXAMPLES:
                    command.epilog = f"\b\nExample:\n  {EXAMPLES[verb.name]}"
                return command
        return None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The verbs by section, from the table alone."""
        for section, title in SECTIONS.items():
            rows = [(verb.name, verb.help) for verb in VERBS if verb.section == section]
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)


@click.group(
    cls=LazyGroup,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80},
)
@click.version_option(__version__, prog_name="luksafe")
@global_options
@click.pass_context
def cli(ctx: click.Context, /, **settings: Any) -> int:
    """Never lose access to a LUKS volume: keep its header, get back in, escrow its key."""
    ctx.obj = App.from_options(settings, ctx.obj)
    if ctx.invoked_subcommand is not None:
        return EXIT_DONE
    if ctx.obj.json:
        raise UsageError("no verb was given", hint="luksafe --help")
    for line in FIRST_STEPS:
        echo(line)
    return EXIT_USAGE


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line and exit with the status that DESIGN's table gives (see spec/exit-codes.md)."""
    _require_streams()
    for stream in (sys.stdout, sys.stderr):
        # a terminal without UTF-8 shows a question mark instead of ending in a traceback
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    if instruction := os.environ.get(_COMPLETE):
        sys.exit(shell_complete(cli, {}, "luksafe", _COMPLETE, instruction))
    with screened_streams():
        try:
            status = _run(sys.argv[1:] if arguments is None else arguments)
            sys.stdout.flush()
        except OSError as error:
            status = _stray(error)
        try:
            sys.stderr.flush()
        except OSError:  # messages that nobody took: Python would try them once more, and end with 120
            _drop_output()
    sys.exit(status)


def _run(words: list[str]) -> int:
    """The status of a command line; what luksafe or click raises is told."""
    app = App.begin(words)
    try:
        # not cli.main, which ends with 1 itself where nobody reads the output
        with cli.make_context("luksafe", list(words), obj=app) as context:
            status = cli.invoke(context)
        return status if isinstance(status, int) else 0
    except LuksafeError as error:
        return App.current().report_error(error)
    except click.exceptions.Exit as leave:
        return leave.exit_code
    except click.exceptions.NoArgsIsHelpError as help_:  # of a group: its verbs
        click.echo(help_.format_message(), err=True)
        return help_.exit_code
    except click.ClickException as error:
        from luksafe.cli.usage_hint import usage_hint  # what is right needs none

        hint = usage_hint(error, words)
        _show_usage(error, hint)
        wrong = UsageError(error.format_message(), hint=hint)
        App(json="--json" in words).emit_error(wrong)  # perhaps no option was read
        return error.exit_code
    except (KeyboardInterrupt, EOFError, click.exceptions.Abort):
        echo("luksafe: interrupted", err=True)
        App.current().emit_error(LuksafeError("interrupted", code="interrupted"))
        return EXIT_INTERRUPTED


def _show_usage(error: click.ClickException, hint: str) -> None:
    """What click would say, in one line each: its words hold what was typed."""
    context = error.ctx if isinstance(error, click.UsageError) else None
    if context is not None:
        click.echo(context.get_usage(), err=True)
    echo(f"Error: {error.format_message()}", err=True)
    if hint:
        echo(f"  next: {hint}", err=True)


def _stray(error: OSError) -> int:
    """The status of an error of the system that nothing expected; told, unless nobody reads what we say."""
    if isinstance(error, BrokenPipeError) and _is_unread():
        _drop_output()
        return EXIT_UNREAD
    where = f"{error.filename}: " if error.filename else ""
    failed = LuksafeError(f"{where}{error.strerror or error}")
    try:
        App.current().report_error(failed)
        sys.stdout.flush()
    except OSError:  # it was the output that could not be written (a full disk)
        _drop_output()
    return failed.exit_status


def _is_unread() -> bool:
    """Whether the program that read our output has gone; a pipe to a program that we started is another matter."""
    poll = select.poll()
    for fd in (1, 2):
        poll.register(fd, 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))


def _require_streams() -> None:
    """With a standard stream closed, the next file that is opened, a device perhaps, would stand in its place."""
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            if sys.stderr is not None:
                sys.stderr.write(f"luksafe: {name} is closed; nothing was done\n  next: send it to /dev/null instead\n")
            os._exit(2)


def _drop_output() -> None:
    """What could not be written is not tried again when Python ends."""
    null = os.open(os.devnull, os.O_WRONLY)
    for fd in (1, 2):
        os.dup2(null, fd)
    os.close(null)

"""The documents name what the program has: verbs, error classes, dangers, reasons. Read from the source itself."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from luksafe import errors
from luksafe.ops import repair, restore_plan, undo
from luksafe.ops.rebuild import plan as rebuild_plan
from luksafe.ops.write.apply import WriteFailed

ROOT = Path(__file__).resolve().parents[2]
JSON_OUTPUT = (ROOT / "spec" / "json-output.md").read_text("utf-8")
EXIT_CODES = (ROOT / "spec" / "exit-codes.md").read_text("utf-8")
README = (ROOT / "README.md").read_text("utf-8")
FLAGS = {*restore_plan.FLAG_HELP, *rebuild_plan.FLAG_HELP, *repair.FLAG_HELP, undo.CHANGED_FLAG, undo.FOREIGN_FLAG}


@cache
def trees() -> list[ast.Module]:
    return [ast.parse(path.read_text("utf-8")) for path in sorted((ROOT / "src").rglob("*.py"))]


@cache
def first_words(call_name: str) -> set[str]:
    """The first argument of every call of this name, where it is written out."""
    return {
        node.args[0].value
        for tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == call_name and node.args
        if isinstance(node.args[0], ast.Constant)
    }


@cache
def error_classes() -> dict[str, int]:
    """Every class of the error tree, wherever it is, and its exit status."""
    known: dict[str, int] = {"LuksafeError": errors.LuksafeError.exit_status}
    for name, value in vars(errors).items():
        if isinstance(value, type) and issubclass(value, errors.LuksafeError):
            known[name] = value.exit_status
    added = True
    while added:
        before = len(known)
        for tree in trees():
            for node in ast.walk(tree):
                bases = [b.id for b in getattr(node, "bases", ()) if isinstance(b, ast.Name) and b.id in known]
                if isinstance(node, ast.ClassDef) and bases:
                    known.setdefault(node.name, known[bases[0]])
        added = len(known) > before
    return known


def rows() -> dict[str, str]:
    """The table of exit statuses: by class."""
    found = {}
    for line in EXIT_CODES.splitlines():
        if match := re.match(r"\| (\d+) \| ([^|]+) \|", line):
            for name in re.findall(r"`(\w+)`", match[2]):
                found[name] = match[1]
    return found


def test_every_error_class_is_in_the_table_with_its_status():
    assert rows() == {name: str(status) for name, status in error_classes().items()}
    assert error_classes()["WriteFailed"] == WriteFailed.exit_status


def test_the_tree_at_the_top_of_errors_is_the_tree_below():
    listed = dict(re.findall(r"^ +(\w+) +(\d+) ", errors.__doc__ or "", re.MULTILINE))
    assert listed == {
        name: str(value.exit_status)
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, errors.LuksafeError)
    }


@pytest.mark.parametrize("flag", sorted(FLAGS))
def test_every_flag_that_accepts_a_danger_is_specified(flag):
    assert f"`{flag}`" in JSON_OUTPUT


def test_every_danger_is_specified():
    codes = first_words("Danger") | {code for code, _ in restore_plan._DANGEROUS_CHANGES.values()}
    assert len(codes) > 15
    assert {code for code in codes if f"`{code}`" not in JSON_OUTPUT} == set()


def test_every_reason_of_check_is_specified():
    codes = first_words("Reason")
    assert len(codes) > 10
    assert {code for code in codes if f"`{code}`" not in JSON_OUTPUT} == set()


def test_the_dangers_that_are_specified_exist():
    codes = first_words("Danger") | {code for code, _ in restore_plan._DANGEROUS_CHANGES.values()}
    chapter = JSON_OUTPUT.partition("### Dangers")[2].partition("\n## ")[0]
    named = {
        code for row in re.findall(r"^\| (`[^|]+) \|", chapter, re.MULTILINE) for code in re.findall(r"`(.+?)`", row)
    }
    assert named == codes
    flags = set(re.findall(r"`(--allow-[a-z-]+)`", chapter))
    assert flags == FLAGS


def test_what_the_readme_and_the_documents_link_to_exists():
    documents = [ROOT / "README.md", ROOT / "SECURITY.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("spec/*.md")]
    missing = []
    for document in documents:
        for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text("utf-8")):
            if not (document.parent / link).exists():
                missing.append((document.name, link))
    assert missing == []


def test_the_exit_statuses_that_the_readme_names_are_those_of_the_table():
    listed = set(re.findall(r"^\| (\d+) \|", EXIT_CODES, re.MULTILINE))
    assert set(re.findall(r"exit status (\d+)", README)) <= listed
    assert {str(status) for status in error_classes().values()} <= listed

"""``python -m luksafe``."""

from luksafe.cli.main import main

main()

"""``python -m hepacalc``: the command line."""

from hepacalc.cli import main

main()

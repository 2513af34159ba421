"""Commands of the training; run in the top folder: ``python -m training``."""

from training.commands import app

app(prog_name="hepacalc-train")

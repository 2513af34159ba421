"""Commands of the training: prepare, samples, train, export, evaluate. Run in the top folder: ``python -m training``."""

from training.commands import app

app(prog_name="hepacalc-train")

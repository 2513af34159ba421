"""What is known of calcification in the liver, as data: causes, findings, settings, rules, tests, sources.

:func:`load_knowledge` gives all of it as frozen records and NumPy tables.
"""

from hepacalc.knowledge.load import DATA_VERSION, load_knowledge
from hepacalc.knowledge.model import (
    Block,
    Cause,
    CauseBlock,
    Correction,
    Guideline,
    Knowledge,
    NetworkTables,
    Prior,
    RedFlag,
    Rule,
    Setting,
    Source,
    Statement,
    Test,
    Threshold,
)

__all__ = [
    "DATA_VERSION",
    "Block",
    "Cause",
    "CauseBlock",
    "Correction",
    "Guideline",
    "Knowledge",
    "NetworkTables",
    "Prior",
    "RedFlag",
    "Rule",
    "Setting",
    "Source",
    "Statement",
    "Test",
    "Threshold",
    "load_knowledge",
]

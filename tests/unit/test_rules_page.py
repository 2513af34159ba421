"""The page of rules says what the knowledge base says."""

import runpy
from pathlib import Path

from hepacalc.knowledge.load import load_knowledge

ROOT = Path(__file__).resolve().parents[2]


def test_rules_page_is_in_step():
    page = ROOT / "docs" / "reference" / "rules.md"
    made = runpy.run_path(str(ROOT / "scripts" / "rules_page.py"))["page"](load_knowledge())
    assert page.read_text("utf-8") == made, "run: python scripts/rules_page.py > docs/reference/rules.md"


def test_every_rule_flag_test_and_fact_is_on_the_page():
    page = (ROOT / "docs" / "reference" / "rules.md").read_text("utf-8")
    knowledge = load_knowledge()
    for held in (
        knowledge.redflags,
        knowledge.rules,
        knowledge.tests,
        knowledge.facts,
        knowledge.labs,
        knowledge.terms,
    ):
        assert all(f"`{key}`" in page for key in held)

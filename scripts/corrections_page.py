"""Print ``docs/reference/corrections.md`` from the knowledge base: ``python scripts/corrections_page.py > PAGE``."""

from __future__ import annotations

import sys

from hepacalc.knowledge import Knowledge, load_knowledge

HEAD = """# Corrections of the lay article

The project started from a lay article on calcification in the liver. Where it is wrong or garbled, hepacalc holds the
right statement with its source, in `corrections.yaml`. Status: *read*, the source says so; *unchecked*, from memory or
an inference.

"""


def page(knowledge: Knowledge) -> str:
    """The page as Markdown."""
    parts = []
    for item in knowledge.corrections.values():
        sources = []
        for key in item.sources:
            source = knowledge.sources[key]
            sources.append(f"{key}, {source.citation}" + (f", {source.address}" if source.address else ""))
        parts.append(
            f"## {item.id}: {item.article}\n\n{item.right['en']}\n\n{item.right['zh']}\n\n"
            f"Status: {item.status}. Sources: {'; '.join(sources)}.\n"
        )
    return HEAD + "\n".join(parts)


if __name__ == "__main__":
    sys.stdout.write(page(load_knowledge()))

"""Reading level of English text: Flesch-Kincaid grade (Kincaid et al. 1975, Navy Research Branch Report 8-75)."""

from __future__ import annotations

import re

_SILENT = re.compile(r"(?:[^laeiouy]es|[^td]ed|[^laeiouy]e)$")
_APART = re.compile(r"(?<![tsg])i[aou]")
"""Vowels side by side that are said apart: calc-i-um, di-agnosis."""
_VOWELS = re.compile(r"[aeiouy]+")


def syllables(word: str) -> int:
    """Syllables of a word by its vowel groups; a silent ending does not count, every word has one."""
    plain = word.lower().strip("'").removesuffix("'s")
    if len(plain) > 3:
        plain = _SILENT.sub("", plain)
    return max(len(_VOWELS.findall(plain)) + len(_APART.findall(plain)), 1)


def grade(text: str) -> float:
    """Flesch-Kincaid grade: ``0.39 words/sentences + 11.8 syllables/words - 15.59``. A sentence ends with its mark, not
    with its line."""
    sentences = [part for part in re.split(r"(?<=[.!?])\s+", text.strip()) if re.search(r"[A-Za-z]", part)]
    words = re.findall(r"[A-Za-z][A-Za-z'-]*|\d+", text)
    return 0.39 * len(words) / len(sentences) + 11.8 * sum(map(syllables, words)) / len(words) - 15.59

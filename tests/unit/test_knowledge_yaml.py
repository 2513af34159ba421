"""The strict YAML reader of the knowledge base."""

import contextlib
import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from hepacalc.errors import KnowledgeError
from hepacalc.knowledge.yaml_in import read_yaml

# text without what JSON escapes and YAML reads otherwise
TEXT = st.text(st.characters(min_codepoint=32, max_codepoint=0xD7FF, exclude_characters="\x7f\x85\u2028\u2029"))
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


@given(PLAIN)
def test_reads_json_as_json_does(value):
    text = json.dumps(value, ensure_ascii=True)
    if "\\u00" in text:  # JSON and YAML escape controls alike, but YAML refuses some
        return
    assert read_yaml(text, "x.yaml") == value


@given(st.text(max_size=60))
def test_no_text_does_worse_than_our_error(text):
    with contextlib.suppress(KnowledgeError):
        read_yaml(text, "x.yaml")


def test_keys_and_words_that_yaml_1_1_would_spoil():
    found = read_yaml(
        "{10_30: 0.5, 90_130: no, on: off, icd: 1E50, code: 2C12.02, when: 2020-01-01, at: 12:30:45}", "x"
    )
    assert found == {
        "10_30": 0.5, "90_130": "no", "on": "off", "icd": "1E50", "code": "2C12.02", "when": "2020-01-01",
        "at": "12:30:45",
    }  # fmt: skip


def test_numbers_and_words():
    text = "[1, -2, +3, 0.5, .5, 1.0e-3, true, false, null, ~, '1', \"true\", 1_000, 0x10, 1., nan, .inf]"
    assert read_yaml(text, "x") == [
        1, -2, 3, 0.5, 0.5, 0.001, True, False, None, None, "1", "true", "1_000", "0x10", "1.", "nan", ".inf",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: 1\nb: 2\na: 3\n", ("line 3", "a stands twice")),
        ("a: &x 1\nb: 2\n", ("line 1", "anchor")),
        ("a: 1\nb: *x\n", ("x.yaml",)),
        ("a: !!python/object/apply:os.system [true]\n", ("line 1", "tag")),
        ("a: 1\n---\nb: 2\n", ("second document",)),
        ("? [1, 2]\n: 3\n", ("key that is not plain text",)),
        ("a: [1, 2\n", ("not YAML",)),
        ("a:\t- b: c: d", ("not YAML",)),
        ("a: \x07", ("not YAML",)),
    ],
)
def test_what_is_refused(text, words):
    with pytest.raises(KnowledgeError) as caught:
        read_yaml(text, "x.yaml")
    for word in words:
        assert word in caught.value.message
    assert caught.value.hint


def test_the_reader_without_libyaml_reads_the_same(monkeypatch):
    from hepacalc.knowledge import yaml_in

    text = "a: [1, 10_30, {b: 'x'}]\nc: >-\n  folded\n  text\nd: \"\\u00e9\"\n"
    quick = read_yaml(text, "x")
    monkeypatch.setattr(yaml_in, "_PARSER", yaml.SafeLoader)
    assert read_yaml(text, "x") == quick == {"a": [1, "10_30", {"b": "x"}], "c": "folded text", "d": "\u00e9"}

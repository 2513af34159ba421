"""A site's own file: its numbers stand in place of ours, with their source, and nothing else moves."""

from pathlib import Path

import numpy as np
import pytest

from hepacalc.errors import InvalidOverlay
from hepacalc.knowledge import load_knowledge

OURS = load_knowledge()
GOOD = """
site: Example hospital
priors:
  general_ct:
    ce: {share: 0.05, ess: 40, source: "own audit, 20 of 400"}
    hcc: {share: 0.02, ess: 10, source: "own audit, 8 of 400"}
thresholds:
  action_malignant: {value: 0.03, source: tumour board}
guidelines:
  hbv: {chosen: china_2022, source: national rule}
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "site.yaml"
    path.write_text(text, "utf-8")
    return path


def refused(folder: Path, text: str, *words: str) -> None:
    with pytest.raises(InvalidOverlay) as caught:
        load_knowledge(written(folder, text))
    said = str(caught.value)
    assert said.startswith("KNO-02 InvalidOverlay: site.yaml")
    for word in words:
        assert word in said
    assert caught.value.hint


def test_priors_of_the_site_stand_and_the_others_keep_their_proportions(tmp_path):
    site = load_knowledge(written(tmp_path, GOOD))
    ids = site.networks["adult"].cause_ids
    ours, theirs = (k.networks["adult"].prior["general_ct"] for k in (OURS, site))
    ce, hcc = ids.index("ce"), ids.index("hcc")
    assert theirs.shares[[ce, hcc]] == pytest.approx([0.05, 0.02])
    assert theirs.alpha[[ce, hcc]] == pytest.approx([40, 10])
    assert theirs.shares.sum() == pytest.approx(1)
    others = [k for k in range(len(ids)) if k not in (ce, hcc)]
    ratio = theirs.shares[others] / ours.shares[others]
    assert ratio == pytest.approx(np.full(len(others), ratio[0]))
    assert np.array_equal(theirs.alpha[others], ours.alpha[others])


def test_other_settings_and_tables_stay(tmp_path):
    site = load_knowledge(written(tmp_path, GOOD))
    for key, prior in OURS.networks["adult"].prior.items():
        if key != "general_ct":
            assert site.networks["adult"].prior[key] is prior
    assert site.networks["adult"].alpha is OURS.networks["adult"].alpha
    assert site.causes is OURS.causes


def test_each_number_of_the_site_has_its_source(tmp_path):
    site = load_knowledge(written(tmp_path, GOOD))
    share = site.settings["general_ct"].prior["ce"]
    threshold, guideline = site.thresholds["action_malignant"], site.guidelines["hbv"]
    assert (threshold.value, threshold.status, guideline.chosen) == (0.03, "site", "china_2022")
    for key, words in (
        (share.source, "own audit, 20 of 400"),
        (threshold.source, "tumour board"),
        (guideline.chosen_because, "national rule"),
    ):
        assert site.sources[key].status == "site"
        assert words in site.sources[key].citation
    assert site.site == "Example hospital"
    assert site.version.startswith(OURS.version + "+")


def test_ours_is_not_touched(tmp_path):
    load_knowledge(written(tmp_path, GOOD))
    assert load_knowledge() is OURS
    assert OURS.site is None
    assert OURS.thresholds["action_malignant"].value == 0.05
    assert not [key for key in OURS.sources if key.startswith("SITE")]


def test_the_same_file_is_laid_over_once(tmp_path):
    path = written(tmp_path, GOOD)
    first = load_knowledge(path)
    assert load_knowledge(path) is first
    written(tmp_path, GOOD.replace("0.03", "0.04"))
    assert load_knowledge(path).thresholds["action_malignant"].value == 0.04


def test_an_overlay_of_nothing_changes_nothing_but_the_name(tmp_path):
    site = load_knowledge(written(tmp_path, "site: A\n"))
    assert site.networks == OURS.networks
    assert site.site == "A"


def test_a_whole_setting_may_be_given(tmp_path):
    causes = OURS.networks["fetal"].cause_ids
    lines = [f"    {cause}: {{share: {1 / len(causes):.9f}, ess: 5, source: x}}" for cause in causes]
    site = load_knowledge(written(tmp_path, "site: A\npriors:\n  fetal_screening:\n" + "\n".join(lines)))
    assert site.networks["fetal"].prior["fetal_screening"].shares == pytest.approx(np.full(6, 1 / 6))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("priors: {}", ("site: missing",)),
        ("site: A\nprice: 3", ("price: unknown key",)),
        ("site: A\nsite: B", ("line 2", "stands twice")),
        ("- 1", ("site.yaml",)),
        ("", ("site.yaml",)),
        ("site: A\npriors: {moon: {ce: {share: 0.1, ess: 5, source: x}}}", ("priors.moon", "general_ct")),
        ("site: A\npriors: {general_ct: {worm: {share: 0.1, ess: 5, source: x}}}", ("priors.general_ct", "worm")),
        ("site: A\npriors: {general_ct: {ce: {share: 0.1, ess: 5}}}", ("priors.general_ct.ce.source: missing",)),
        ("site: A\npriors: {general_ct: {ce: {share: 0.1, source: x}}}", ("priors.general_ct.ce.ess: missing",)),
        ("site: A\npriors: {general_ct: {ce: {share: 1.1, ess: 5, source: x}}}", ("priors.general_ct.ce.share",)),
        (
            "site: A\npriors: {general_ct: {ce: {share: 0.6, ess: 5, source: x}, ae: {share: 0.5, ess: 5, source: x}}}",
            ("sum to more than 1",),
        ),
        (
            "site: A\npriors: {general_ct: {ce: {share: 0.6, ess: 5, source: x}, ae: {share: 0.4, ess: 5, source: x}}}",
            ("priors.general_ct", "leave nothing"),
        ),
        ("site: A\nthresholds: {speed: {value: 3, source: x}}", ("thresholds.speed", "action_malignant")),
        ("site: A\nthresholds: {action_malignant: {value: 3, source: x}}", ("between 0 and 1",)),
        ("site: A\nthresholds: {action_malignant: {value: 0.1}}", ("thresholds.action_malignant.source: missing",)),
        ("site: A\nguidelines: {hbv: {chosen: moon, source: x}}", ("guidelines.hbv", "easl_2025")),
        ("site: A\nguidelines: {tea: {chosen: green, source: x}}", ("guidelines.tea",)),
    ],
)
def test_what_is_refused(tmp_path, text, words):
    refused(tmp_path, text, *words)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(InvalidOverlay, match="cannot be read"):
        load_knowledge(tmp_path / "site.yaml")


def test_a_file_that_is_no_text(tmp_path):
    (tmp_path / "site.yaml").write_bytes(b"site: \xff\xfe")
    with pytest.raises(InvalidOverlay, match="UTF-8"):
        load_knowledge(tmp_path / "site.yaml")

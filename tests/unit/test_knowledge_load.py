"""The knowledge base that comes with hepacalc: whole, consistent, honest about its sources."""

import csv
import re
import runpy
from pathlib import Path

import numpy as np
import pytest

from hepacalc.errors import KnowledgeError
from hepacalc.knowledge import Prior, load_knowledge
from hepacalc.knowledge.check import RANKS, check_knowledge
from hepacalc.knowledge.ids import ADULT_CAUSES, CAUSE_IDS, FETAL_CAUSES, in_order
from hepacalc.knowledge.show import STATUS
from hepacalc.knowledge.tables import FLOOR

KNOWLEDGE = load_knowledge()
ARTICLE_CORRECTIONS = [f"E{n}" for n in range(186, 201)]


def test_no_fault():
    assert not [str(problem) for problem in check_knowledge()]


def test_all_causes_in_their_networks():
    assert (len(ADULT_CAUSES), len(FETAL_CAUSES), len(set(CAUSE_IDS))) == (62, 6, 68)
    assert tuple(KNOWLEDGE.causes)[:68] == CAUSE_IDS
    assert KNOWLEDGE.networks["adult"].cause_ids[:62] == ADULT_CAUSES
    assert KNOWLEDGE.networks["fetal"].cause_ids[:6] == FETAL_CAUSES
    assert sum(len(KNOWLEDGE.networks[n].cause_ids) for n in ("adult", "fetal")) == len(KNOWLEDGE.causes)


def test_causes_of_further_files_come_after_the_others():
    assert in_order(["zebra", *reversed(CAUSE_IDS), "alpaca"]) == (*CAUSE_IDS, "alpaca", "zebra")


@pytest.mark.parametrize("network", ["adult", "fetal"])
def test_tables_are_laws(network):
    table = KNOWLEDGE.networks[network]
    for key, alpha in table.alpha.items():
        block = KNOWLEDGE.blocks[key]
        assert alpha.shape == (len(table.cause_ids), len(block.states))
        assert np.isfinite(alpha).all()
        assert (alpha > 0).all()
        assert block.base.sum() == pytest.approx(1)


@pytest.mark.parametrize("cause", KNOWLEDGE.causes)
def test_each_cause_says_something_and_nothing_is_impossible(cause):
    item = KNOWLEDGE.causes[cause]
    blocks = [block for block in KNOWLEDGE.blocks.values() if block.network == item.network]
    row = KNOWLEDGE.networks[item.network].cause_ids.index(cause)
    assert item.findings
    for block in blocks:
        alpha = KNOWLEDGE.networks[item.network].alpha[block.id][row]
        if block.id in item.findings:
            said = item.findings[block.id]
            assert np.array_equal(alpha, said.alpha)
            assert said.p == pytest.approx(alpha / alpha.sum())
            assert said.stated.min() >= 0.9 * FLOOR / 2 / len(block.states)
            assert said.sources
        else:
            assert alpha == pytest.approx(block.ess * block.base), "indifferent: the base"


@pytest.mark.parametrize("setting", KNOWLEDGE.settings.values(), ids=lambda setting: setting.id)
def test_each_setting_reaches_each_cause(setting):
    prior = KNOWLEDGE.networks[setting.network].prior[setting.id]
    assert prior.shares.sum() == pytest.approx(1)
    assert (prior.shares > 0).all()
    assert (prior.alpha >= 1).all()


def test_the_seven_settings():
    assert set(KNOWLEDGE.settings) == {
        "general_ct", "health_check_ultrasound", "echinococcosis_pasture", "schistosomiasis_area", "oncology",
        "fetal_screening", "fetal_referral",
    }  # fmt: skip
    assert KNOWLEDGE.settings["echinococcosis_pasture"].given == {"exposure": ("pasture", "alveolar_area")}
    assert "none" not in KNOWLEDGE.settings["oncology"].given["primary"]
    assert KNOWLEDGE.settings["general_ct"].derived_from is None


def test_priors_are_the_rows_of_evidence():
    share = {key: setting.prior for key, setting in KNOWLEDGE.settings.items()}
    assert share["echinococcosis_pasture"]["ce"][:1] == (0.42,)
    assert share["health_check_ultrasound"]["hepatolithiasis"].share == 0.10
    metastases = [c for c in ADULT_CAUSES if c.startswith("met_")]
    for setting, whole in (("general_ct", 0.045), ("oncology", 0.28), ("schistosomiasis_area", 0.02)):
        assert sum(share[setting][cause].share for cause in metastases) == pytest.approx(whole)
    assert share["fetal_referral"]["fetal_aneuploidy"].share == pytest.approx(11 / 61, abs=0.005)


def test_a_rare_share_is_drawn_around_its_mean():
    prior = Prior(np.array([0.998, 0.002]), np.array([20.0, 3.0]))
    drawn = prior.draw(np.random.default_rng(1), 20_000)
    assert drawn.sum(axis=1) == pytest.approx(np.ones(20_000))
    low, high = np.quantile(drawn[:, 1], [0.05, 0.95])
    assert drawn[:, 1].mean() == pytest.approx(0.002, rel=0.1)
    assert 0.2 < low / 0.002 < 0.35
    assert 1.9 < high / 0.002 < 2.4


def test_arrays_cannot_be_changed():
    table = KNOWLEDGE.networks["adult"]
    with pytest.raises(ValueError, match="read-only"):
        table.alpha["lesion"][0, 0] = 1
    with pytest.raises(ValueError, match="read-only"):
        table.prior["general_ct"].shares[0] = 1


def test_loaded_once():
    assert load_knowledge() is KNOWLEDGE
    assert re.fullmatch(r"\d+\.\d+\+[0-9a-f]{12}", KNOWLEDGE.version)


def test_lesion_states_run_over_morphology_first():
    block = KNOWLEDGE.blocks["lesion"]
    hosts, morphologies = block.axes["host"], block.axes["morphology"]
    assert block.states[1] == f"{hosts[0]}/{morphologies[1]}"
    assert block.states[len(morphologies)] == f"{hosts[1]}/{morphologies[0]}"
    found = KNOWLEDGE.causes["ce"].findings["lesion"].p
    assert block.states[int(found.argmax())] == "cyst/rim"


def test_a_published_count_pulls_the_share_towards_it():
    said = KNOWLEDGE.causes["schisto_japonica"].findings["lesion"]
    assert any(count.source == "E002" for count in said.counts)
    block = KNOWLEDGE.blocks["lesion"]
    map_like = sum(p for p, state in zip(said.p, block.states, strict=True) if state.endswith("/septal_map"))
    assert map_like == pytest.approx(350 / 516, abs=0.12)


# sources


def test_addresses_lead_to_publications_only():
    for source in KNOWLEDGE.sources.values():
        assert "http" not in source.citation
        assert not re.search(r"\d+\.\d+\.\d+\.\d+[:/]", source.citation + source.address)


def test_every_status_has_words_and_a_rank():
    used = {source.status for source in KNOWLEDGE.sources.values()}
    assert used <= set(STATUS)
    assert used <= set(RANKS)


def test_working_estimates_are_never_published():
    for source in KNOWLEDGE.sources.values():
        if source.kind == "prior_working" or source.id.startswith("J-"):
            assert source.status == "judgement"
    for cause in KNOWLEDGE.causes.values():
        for said in cause.findings.values():
            best = max(RANKS[KNOWLEDGE.sources[key].status] for key in said.sources)
            assert RANKS[said.status] <= best


def test_every_row_of_the_evidence_is_a_source_with_its_figures(request):
    path = Path(request.config.rootpath).parent / "shared" / "knowledge" / "evidence.csv"
    if not path.exists():
        pytest.skip("needs the evidence table beside the checkout")
    status = {"found": "read", "recalled": "unchecked", "word_only": "unchecked", "working_estimate": "judgement"}
    with path.open(encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            source = KNOWLEDGE.sources[row["id"]]
            assert source.kind == row["kind"]
            assert source.status == status.get(row["status"], "unchecked")
            assert source.confidence == float(row["confidence"])
            assert ("" if source.value is None else source.value) == (row["value"] and float(row["value"]))
            assert ("" if source.n is None else source.n) == (row["n"] and int(row["n"]))
            assert ("" if source.N is None else source.N) == (row["N"] and int(row["N"]))
            assert (source.year or "") == (row["year"] and int(row["year"])) or row["year"] == ""


def test_the_fifteen_corrections_of_the_article():
    assert list(KNOWLEDGE.corrections) == ARTICLE_CORRECTIONS
    for key, correction in KNOWLEDGE.corrections.items():
        assert key in correction.sources
        assert correction.article
        assert all(len(words) > 15 for words in correction.right.values())


def test_the_page_of_corrections_is_in_step(request):
    root = Path(request.config.rootpath)
    made = runpy.run_path(str(root / "scripts" / "corrections_page.py"))["page"](KNOWLEDGE)
    page = (root / "docs" / "reference" / "corrections.md").read_text("utf-8")
    assert page == made, "run: python scripts/corrections_page.py > docs/reference/corrections.md"


# where things go wrong


def test_an_edited_folder_is_laid_over_ours(tmp_path):
    from hepacalc.knowledge.files import package_files

    text = package_files()["causes/ce.yaml"].replace("harm: dangerous", "harm: watch")
    (tmp_path / "causes").mkdir()
    (tmp_path / "causes" / "ce.yaml").write_text(text, "utf-8")
    edited = load_knowledge(tmp_path)
    assert edited.causes["ce"].harm == "watch"
    assert edited.causes["ae"].harm == KNOWLEDGE.causes["ae"].harm
    assert edited.version != KNOWLEDGE.version


def test_a_folder_that_is_none_is_refused(tmp_path):
    with pytest.raises(KnowledgeError, match="no YAML file"):
        load_knowledge(tmp_path)
    (tmp_path / "diseases.yaml").write_text("a: 1")
    with pytest.raises(KnowledgeError, match=r"diseases.yaml is no file"):
        load_knowledge(tmp_path)


def test_a_fault_names_file_and_field(tmp_path):
    (tmp_path / "causes").mkdir()
    (tmp_path / "causes" / "ce.yaml").write_text("id: ce\nnetwork: adult\nprice: 3\n", "utf-8")
    with pytest.raises(KnowledgeError, match=r"causes/ce.yaml: .*and \d+ more") as caught:
        load_knowledge(tmp_path)
    assert "knowledge check" in caught.value.hint

"""Sentences that only the FHIR bundle says, in each language; all others are those of the report."""

from __future__ import annotations

from hepacalc.report.language import spoken

__all__ = ["TEXTS", "text"]

TEXTS: dict[str, dict[str, str]] = {
    "en": {
        "activity": "Assessment of calcification of the liver on CT",
        "device": "Decision support without clinical review; not a medical device.",
        "found-by": "Outlined by {method}.",
        "interval-low": "Lower end of the {level} interval",
        "interval-high": "Upper end of the {level} interval",
        "site": "Lesion {id}, centre at {x:.1f}, {y:.1f}, {z:.1f} mm (LPS)",
        "risk-lesion": "Causes of lesion {id}; their probabilities sum to 1.",
        "risk-patient": "Causes of a lesion of this patient picked at random; their probabilities sum to 1.",
        "risk-harms": "The probability of a group of harm is the sum over its causes.",
        "risk-left-out": "Not listed: {count} causes whose band ends below {least}.",
        "risk-draws": "The bands come from {count} draws of the parameters.",
        "risk-no-draws": "No draws of the parameters: the bands are not known.",
        "risk-method": "Bayesian network of hepacalc ({network}), knowledge {version}",
        "band": "{value} (5-95 %: {low} to {high})",
        "provided": "Only if: {questions}",
    },
    "zh": {
        "activity": "CT肝脏钙化评估",
        "device": "决策支持,未经临床审核;非医疗器械。",
        "found-by": "轮廓来源:{method}。",
        "interval-low": "{level} 区间下限",
        "interval-high": "{level} 区间上限",
        "site": "病变 {id},中心位于 {x:.1f}, {y:.1f}, {z:.1f} mm(LPS)",
        "risk-lesion": "病变 {id} 的病因;概率之和为 1。",
        "risk-patient": "随机抽取该患者一个病变的病因;概率之和为 1。",
        "risk-harms": "危害分组的概率为组内各病因之和。",
        "risk-left-out": "未列出:区间上限低于 {least} 的 {count} 个病因。",
        "risk-draws": "区间来自 {count} 次参数抽样。",
        "risk-no-draws": "未做参数抽样:区间未知。",
        "risk-method": "hepacalc 贝叶斯网络({network}),知识库 {version}",
        "band": "{value}(5-95 %:{low} 至 {high})",
        "provided": "仅当:{questions}",
    },
}


def text(key: str, **values: object) -> str:
    """Return the sentence of ``key`` in the language that is spoken."""
    return TEXTS[spoken()][key].format(**values)

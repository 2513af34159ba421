"""Words of the cards, English and Chinese side by side; words about findings come from the report."""

from __future__ import annotations

from hepacalc.report.language import spoken

__all__ = ["PHRASES", "say"]

PHRASES: dict[str, tuple[str, str]] = {
    "disclaimer": (
        "Decision support without clinical review; not a medical device, not a diagnosis.",
        "未经临床审核的决策支持；不是医疗器械，不作诊断。",
    ),
    "open": ("Open the study in hepacalc", "在hepacalc中打开检查"),
    "form": ("A question about calcification in the liver was asked without a scan.", "曾就肝脏钙化提出无扫描咨询。"),
    "scan": ("CT of {day}, measured by hepacalc.", "{day} 的CT，由hepacalc测量。"),
    "unknown-day": ("an unknown day", "日期不详"),
    "bands": ("In brackets: 90 % bands.", "括号内为90%区间。"),
    "open-questions": ("Not known, and would change the plan:", "尚不清楚、会改变计划的问题："),
    "unseen": ("What this answer does not rest on:", "本答复未依据的内容："),
    "prefetch.missing": ("{what} were not sent.", "未收到{what}。"),
    "prefetch.failed": ("{what} could not be read from the record system.", "无法从病历系统读取{what}。"),
    "prefetch.partial": ("Only a part of {what} was sent.", "仅收到部分{what}。"),
    "prefetch.unreadable": ("{what} came in a form that cannot be used.", "{what}的格式无法使用。"),
    "what.patient": ("the patient's age and sex", "患者的年龄和性别"),
    "what.labs": ("laboratory values", "检验结果"),
    "what.conditions": ("diagnoses", "诊断"),
    "what.reports": ("imaging reports", "影像报告"),
    "not-joined": (
        "What the record says contradicts what was typed in here; only the latter was used.",
        "病历内容与此处录入的内容矛盾，仅采用后者。",
    ),
    "passed-over": ("{count} kinds of entries of the record are not known here.", "病历中有{count}类条目无法识别。"),
    "later-report": (
        "There is a later imaging report, of {day}: read it beside this.",
        "另有较晚的影像报告（{day}）：请一并阅读。",
    ),
    "provided": ("Holds if:", "前提："),
    "basis": ("Basis:", "依据："),
    "needle": (
        "No needle into this lesion before it is settled what it is.",
        "在明确病变性质之前，不得对其穿刺。",
    ),
    "reason.done": ("Already done", "已完成"),
    "reason.planned": ("Already ordered or planned elsewhere", "已在他处开立或安排"),
    "reason.declined": ("The patient declines", "患者拒绝"),
    "reason.not-fitting": ("Not appropriate for this patient", "不适用于该患者"),
    "reason.disagree": ("The finding or its interpretation is wrong", "发现或其解释有误"),
    "title": ("Calcification in the liver", "肝脏钙化"),
    "patient-view": (
        "What an assessed CT of this patient showed in the liver, what it may be, and the next step with its date.",
        "该患者已评估CT的肝脏所见、可能的原因及下一步与日期。",
    ),
    "order-select": (
        "The same while an order about liver or abdomen is chosen; warns of a needle where the plan forbids one.",
        "选择肝脏或腹部医嘱时显示；计划禁止穿刺时给出警告。",
    ),
}


def say(key: str, **values: object) -> str:
    """Return a phrase in the language that is spoken."""
    english, chinese = PHRASES[key]
    return (chinese if spoken() == "zh" else english).format(**values)

"""Words of the pages, English and Chinese side by side; words about findings come from the report."""

from __future__ import annotations

from hepacalc.errors import OutputError
from hepacalc.report.language import spoken
from hepacalc.server.phrases_study import STUDY

__all__ = ["PHRASES", "say"]

_COMMON: dict[str, tuple[str, str]] = {
    "product": ("Calcification in the liver on CT", "肝脏CT钙化"),
    "disclaimer": (
        "Decision support without clinical review; not a medical device, not a diagnosis.",
        "未经临床审核的决策支持；不是医疗器械，不作诊断。",
    ),
    "skip": ("Skip to content", "跳到正文"),
    "menu": ("Main menu", "主菜单"),
    "worklist": ("Worklist", "工作列表"),
    "form": ("Without a scan", "无扫描咨询"),
    "knowledge": ("Knowledge", "知识库"),
    "account": ("Account", "账户"),
    "admin": ("Administration", "管理"),
    "sign-in": ("Sign in", "登录"),
    "sign-in.oidc": ("Sign in with the hospital's account", "使用医院账户登录"),
    "sign-in.failed": (
        "Name or password is wrong, or there were too many tries.",
        "用户名或密码错误，或尝试次数过多。",
    ),
    "sign-out": ("Sign out", "退出"),
    "name": ("Name", "用户名"),
    "password": ("Password", "密码"),
    "enter": ("Enter", "进入"),
    "enter.note": ("This one-time link opens hepacalc in this browser.", "此一次性链接将在本浏览器中打开hepacalc。"),
    "sign-in.token": (
        "Open the link that `hepacalc serve` printed; `hepacalc serve --new-link` prints another one.",
        "请打开 `hepacalc serve` 输出的链接；`hepacalc serve --new-link` 可输出新链接。",
    ),
    "language": ("Language", "语言"),
    "error": ("This did not work", "操作未成功"),
    "back": ("Back to the worklist", "返回工作列表"),
    "save": ("Save", "保存"),
    "cancel": ("Cancel", "取消"),
    "close": ("Close", "关闭"),
    "delete": ("Delete", "删除"),
    "yes": ("Yes", "是"),
    "no": ("No", "否"),
    "not-asked": ("Not asked", "未询问"),
    "unit": ("Unit", "单位"),
    "value": ("Value", "数值"),
    # worklist
    "drop": ("Drop a folder, a zip or DICOM files here", "将文件夹、zip或DICOM文件拖到此处"),
    "choose-files": ("Choose files", "选择文件"),
    "choose-folder": ("Choose a folder", "选择文件夹"),
    "sending": ("Sending", "正在发送"),
    "sent": ("Received: it will be sorted and assessed.", "已接收：将整理并评估。"),
    "search": ("Search", "搜索"),
    "search.hint": ("Name, number, accession, date", "姓名、编号、检查号、日期"),
    "state": ("State", "状态"),
    "state.any": ("Any", "全部"),
    "state.waiting": ("Waiting", "等待中"),
    "state.assessing": ("Being assessed", "评估中"),
    "state.assessed": ("Assessed", "已评估"),
    "state.failed": ("Set aside", "已搁置"),
    "due": ("Due", "到期"),
    "due.soon": ("Due within 30 days", "30天内到期"),
    "who-due": ("Who is due", "随访到期"),
    "who-due.none": ("Nobody is due.", "无到期随访。"),
    "who-due.all": ("All of them", "全部"),
    "who-due.step": ("What", "项目"),
    "who-due.why": ("Why", "理由"),
    "who-due.by": ("Window", "时间窗"),
    "who-due.late": ("{days} days late", "逾期{days}天"),
    "who-due.moved": ("date changed", "已改期"),
    "who-due.accepted": ("accepted", "已接受"),
    "timing.lost": ("Lost", "失访"),
    "timing.overdue": ("Overdue", "已逾期"),
    "timing.due": ("Due now", "现已到期"),
    "timing.soon": ("Due soon", "即将到期"),
    "timing.undated": ("No date", "无日期"),
    "patient": ("Patient", "患者"),
    "number": ("Number", "编号"),
    "study": ("Study", "检查"),
    "finding": ("Finding", "所见"),
    "cause": ("Most probable cause", "最可能的原因"),
    "calcium": ("Calcium", "钙质量"),
    "received": ("Received", "接收时间"),
    "none": ("No study found.", "未找到检查。"),
    "newer": ("Newest", "最新"),
    "older": ("Older", "更早"),
    "flags.one": ("{count} red flag", "{count}项警示"),
    "flags.many": ("{count} red flags", "{count}项警示"),
    "images": ("{count} images", "{count}幅图像"),
    "uploads.failed": ("Not filed", "未归档"),
    # account and administration
    "tokens": ("API tokens", "API令牌"),
    "token.new": ("New token", "新建令牌"),
    "token.name": ("What it is for", "用途"),
    "token.scopes": ("Scopes", "权限范围"),
    "token.shown": ("Copy it now; it is not shown again:", "请立即复制，之后不再显示："),
    "token.until": ("Valid until", "有效期至"),
    "password.new": ("New password (10 characters or more)", "新密码（至少10个字符）"),
    "password.old": ("Present password", "当前密码"),
    "password.changed": ("The password was changed.", "密码已更改。"),
    "users": ("Users", "用户"),
    "user.new": ("New user", "新建用户"),
    "role": ("Role", "角色"),
    "role.read": ("Read", "查看"),
    "role.assess": ("Assess", "评估"),
    "role.admin": ("Administrate", "管理"),
    "team": ("Team", "团队"),
    "disabled": ("Shut out", "已停用"),
    "audit": ("Audit log", "审计日志"),
    "audit.who": ("Who", "用户"),
    "audit.where": ("From where", "来源"),
    "audit.what": ("What", "操作"),
    "audit.when": ("When", "时间"),
    "audit.object": ("Object", "对象"),
    "audit.outcome": ("Outcome", "结果"),
    # knowledge
    "knowledge.lead": (
        "Every cause, finding and rule that is reckoned with, and where each figure comes from.",
        "所用的每一病因、所见和规则，及各数值的来源。",
    ),
    "knowledge.causes": ("Causes", "病因"),
    "knowledge.rules": ("Rules of the plan", "处置规则"),
    "knowledge.sources": ("Sources", "来源"),
    "knowledge.figures": ("Figures", "数值"),
    "knowledge.version": ("Version", "版本"),
    "knowledge.harm": ("If missed", "若漏诊"),
    "knowledge.needle": ("Needle", "穿刺"),
    "knowledge.priors": ("Prior by setting", "各情境的先验概率"),
    "knowledge.states": ("Given this cause", "在该病因下"),
    "knowledge.status": ("Status", "状态"),
    "knowledge.used": ("Used by", "用于"),
    "harm.benign": ("benign", "良性"),
    "harm.watch": ("to be watched", "需观察"),
    "harm.dangerous": ("dangerous", "危险"),
    "harm.malignant": ("malignant", "恶性"),
    "needle.allowed": ("allowed", "可行"),
    "needle.caution": ("with caution", "谨慎"),
    "needle.never": ("never blind", "禁止盲穿"),
    "knowledge.filter": ("Filter", "筛选"),
}
PHRASES: dict[str, tuple[str, str]] = _COMMON | STUDY
"""Key -> English and Simplified Chinese."""
_COLUMN = {"en": 0, "zh": 1}


def say(key: str, **values: object) -> str:
    """Return a phrase in the language that is spoken, with ``values`` put in.

    Raises:
        OutputError: there is no such phrase.
    """
    if key not in PHRASES:
        raise OutputError(f"The phrase {key!r} is not there.", hint="Install hepacalc again.")
    text = PHRASES[key][_COLUMN[spoken()]]
    return text.format(**values) if values else text

"""The English phrases of the page that compares exams, by key."""

from __future__ import annotations

__all__ = ["COMPARISON_PHRASES", "STATUS_NAMES"]

STATUS_NAMES: dict[str, str] = {
    "new": "new",
    "grew": "grew",
    "merged": "merged",
    "split": "split",
    "shrank": "shrank",
    "gone": "gone",
    "not comparable": "not comparable",
    "stable": "stable",
}

COMPARISON_PHRASES: dict[str, str] = {
    "compare.title": "Follow-up of calcification in the liver",
    "compare.product": "hepacalc comparison",
    "compare.earlier": "Earlier exam",
    "compare.current": "Current exam",
    "compare.interval": "Interval",
    "compare.days": "{days} days ({months} months)",
    "compare.unknown": "not known",
    "compare.nothing": "No lesion at either exam",
    "compare.all-stable": "No change in any of the {count} lesions",
    "compare.count": "{count} {status}",
    "compare.since": "Since {date}",
    "compare.fit": "Livers laid on each other: overlap {dice}, surfaces {gap} mm apart on average",
    "compare.table": "What became of each lesion",
    "compare.lesions": "Lesions, earlier and current",
    "compare.status": "Status",
    "compare.prior-mass": "Mass earlier",
    "compare.current-mass": "Mass now",
    "compare.percent": "Change",
    "compare.smallest": "Smallest change that could be shown",
    "compare.none": "none",
    "compare.place-only": "Here it would lie if it were seen.",
    "compare.no-pictures": "The voxels of this exam are not at hand: give the scan instead of the stored assessment.",
    "compare.more": "Pictures of the first {shown} of {total} lesions; all are in the table and in comparison.csv.",
    "compare.timeline": "Mass over time: band = 90 % interval, ticks = exams",
    "compare.timeline.alt": "Mass of lesion {lesion} at {count} exams",
    "compare.files": "All numbers: comparison.json (version {schema}) and comparison.csv in the same folder.",
    "compare.undated": "not dated",
}

"""Measure the differential on published cases: a reader of short texts, scores with bands, baselines.

No part of the differential uses anything of this.
"""

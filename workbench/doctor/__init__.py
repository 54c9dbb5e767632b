"""The doctor: metrics in, findings out: what is wrong with a run, since when, what it means, and which knobs to change.

Knows recipes and rows of metrics only; no torch, no store. Rules are data with one small pure function each.
"""

from workbench.doctor.examine import RULES, Finding, examine, halting
from workbench.doctor.grounds import grounds
from workbench.doctor.words import as_lines, as_record, headline, named, reason

__all__ = ["RULES", "Finding", "as_lines", "as_record", "examine", "grounds", "halting", "headline", "named", "reason"]

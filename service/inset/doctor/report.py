"""What a person reads of the findings."""

from collections.abc import Iterable

from inset.doctor.findings import Finding

_MARKS = {"ok": ("✓", "32"), "skipped": ("–", "2"), "warning": ("!", "33"), "error": ("✗", "31")}


def written(findings: Iterable[Finding], *, colour: bool) -> str:
    """Write one line for each finding, its code at the end of what is wrong, and below it what helps."""
    lines = []
    for finding in findings:
        mark, code = _MARKS[finding.level]
        shown = f"\x1b[{code}m{mark}\x1b[0m" if colour else mark
        named = f" [{finding.code}]" if finding.fix else ""
        lines.append(f"{shown} {finding.message}{named}")
        if finding.fix:
            lines.append(f"    → {finding.fix}")
    return "\n".join(lines)

"""The parts of a runbook's Markdown."""

import re

_ANOTHER_PART = re.compile(r"#{1,2} |\*\*(Meaning|Impact|Diagnosis|Mitigation)\b")


def part_of(runbook: str, heading: str) -> str:
    """The text under a heading of a runbook; empty without it. A `#` in a code block is not a heading."""
    begins = re.compile(rf"#{{1,6}} {heading}\b|\*\*{heading}\b")
    found: list[str] = []
    within = fenced = False
    for line in runbook.split("\n"):
        if not fenced and begins.match(line):
            within = True
            found += [line.removeprefix(f"**{heading}.**")] if line.startswith("**") else []
            continue
        if line.lstrip().startswith(("```", "~~~")):
            fenced = not fenced
        if within and not fenced and _ANOTHER_PART.match(line):
            break
        if within:
            found.append(line)
    return "\n".join(found).strip()

"""Generates the documentation's tables of plug-ins and guardrails: `python -m paramedic.kinds.docs_tables` in the tree."""

from collections.abc import Mapping
from pathlib import Path
from typing import cast

from paramedic.kinds.evidence import EvidenceKind, Of, word
from paramedic.kinds.faces import ChannelKind, ProbeKind, Source, TargetKind
from paramedic.kinds.registry import Registry, Room
from paramedic.remediation.guardrail_rules import RULES

#: A table stands between these two lines of its page.
_BEGIN, _END = "<!-- made by `make tables`: {} -->", "<!-- end -->"


def probes() -> str:
    """The table of probes: what follows `check:`, its metrics, and their shipped bounds."""
    lines = ["| `check` | what is looked at | metrics | without a metric: `warning`, `critical` |", "|---|---|---|---|"]
    shipped = Registry().usable(Room.PROBES).values()
    return "\n".join([*lines, *(_probe(cast("ProbeKind", probe)) for probe in shipped)])


def _probe(probe: ProbeKind) -> str:
    words = ", ".join(f"`{word}`" for word in probe.CHECK)
    of_window = any(metric.share or metric.percentile is not None for metric in probe.METRICS)
    metrics = ", ".join(f"`{metric.name}`" for metric in probe.METRICS if not metric.burns) + (
        ", over the last `window`" if of_window else ""
    )
    if burning := ", ".join(f"`{metric.name}`" for metric in probe.METRICS if metric.burns):
        metrics += f"; with an `objective` {burning}"
    bounds = [
        f"`{metric.name}` {', '.join(filter(None, (metric.warning, metric.critical)))}"
        for metric in probe.METRICS
        if metric.is_shipped_with_bounds and not metric.burns
    ]
    return f"| {words} | {probe.ABOUT} | {metrics} | {'; '.join(bounds) or 'none: name them'} |"


def channels() -> str:
    """The table of channels: how a contact method is written, and what its channel can do."""
    lines = [
        "| contact method | an incident's messages | text | a link as a button | delivery receipts |",
        "|---|---|---|---|---|",
    ]
    shipped = Registry().usable(Room.CHANNELS).items()
    return "\n".join([*lines, *(_channel(name, cast("ChannelKind", channel)) for name, channel in shipped)])


def _channel(name: str, channel: ChannelKind) -> str:
    able = channel.ABLE
    text = "whole, or as much as the service takes" if able.length is None else f"up to {able.length:,} characters"
    threads = "in one thread" if able.threads else "each on its own"
    answers = ["yes" if can else "no" for can in (able.buttons, able.receipts)]
    return f"| `{name}:{channel.ADDRESS}` | {threads} | {text} | {' | '.join(answers)} |"


def evidence() -> str:
    """The table of the evidence that every kind of target offers, or each whose targets are a process."""
    lines = ["| `with.evidence` | of | what is seen |", "|---|---|---|"]
    shipped = cast("Mapping[str, EvidenceKind]", Registry().usable(Room.EVIDENCE))
    whose = {
        Of.HOST: "the host",
        Of.PROCESS: "the target's process",
        Of.TARGET: "the target",
        Of.PLACE: "the host, or the workload",
    }
    return "\n".join(
        [*lines, *(f"| `{word(name)}` | {whose[kind.OF]} | {kind.ABOUT} |" for name, kind in shipped.items())]
    )


def targets() -> str:
    """The table of kinds of targets: what alerts call one, and what each offers to runbooks."""
    lines = ["| key | alerts call it | `with.evidence` | remedies of its own |", "|---|---|---|---|"]
    shipped = cast("Mapping[str, TargetKind]", Registry().usable(Room.TARGETS))
    return "\n".join([*lines, *(f"| `{name}` | {_target(kind)} |" for name, kind in shipped.items())])


def _target(kind: TargetKind) -> str:
    evidence, remedies = (", ".join(f"`{word}`" for word in words) for words in (kind.EVIDENCE, kind.REMEDIES))
    return f"`{kind.LABEL}` | {evidence} | {remedies}"


def guardrails() -> str:
    """What each guardrail reads, what its refusal says, and how a person goes on, in the order of asking."""
    lines = ["| guardrail | what it reads | what its refusal says | how to go on |", "|---|---|---|---|"]
    rows = [(rule.name, rule.about) for rule in RULES]
    return "\n".join(
        [*lines, *(f"| `{name}` | {about.reads} | {about.says} | {about.go_on} |" for name, about in rows)]
    )


def sources() -> str:
    """The table of kinds of senders: address, how each shows who it is, its template, and what its words of severity mean."""
    lines = ["| sender | address | shows who it is by | template | severity |", "|---|---|---|---|---|"]
    shipped = cast("Mapping[str, Source]", Registry().usable(Room.SOURCES))
    return "\n".join([*lines, *(_source(name, source) for name, source in shipped.items())])


def _source(name: str, source: Source) -> str:
    own = f"`{source.CREDENTIALS}`" if hasattr(source, "CREDENTIALS") else "a signature"
    proof = f"{own}, a token or basic auth" if hasattr(source, "authentic") else "a token or basic auth"
    template = f"`paramedic source template {name}`" if hasattr(source, "TEMPLATE") else "none"
    words: Mapping[str, str] = getattr(source, "SEVERITIES", {})
    by_meaning = {
        meaning: [word for word in words if words[word] == meaning] for meaning in dict.fromkeys(words.values())
    }
    severity = "; ".join(
        f"{meaning}: {', '.join(f'`{word}`' for word in said)}" for meaning, said in by_meaning.items()
    )
    return f"| [{name}]({name}.md) | `/alerts/{name}` | {proof} | {template} | {severity or 'the label `severity`'} |"


#: By its page: the names of its tables, and what makes each.
TABLES = {
    "docs/runbooks.md": {"probes": probes},
    "docs/evidence.md": {"evidence": evidence},
    "docs/targets.md": {"targets": targets},
    "docs/channels.md": {"channels": channels},
    "docs/guardrails.md": {"guardrails": guardrails},
    "docs/sources/README.md": {"sources": sources},
}


def written(page: str, text: str) -> str:
    """The page's text with current tables. Raises ValueError where it has no place for one."""
    for name, make in TABLES[page].items():
        before, begin, rest = text.partition(_BEGIN.format(name) + "\n")
        _, end, after = rest.partition(_END)
        if not begin or not end:
            raise ValueError(f"{page} has no lines {_BEGIN.format(name)!r} and {_END!r}")
        text = f"{before}{begin}{make()}\n{end}{after}"
    return text


def main() -> None:
    """Update the tables of every page in the current tree."""
    for page in TABLES:
        path = Path(page)
        path.write_text(written(page, path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()

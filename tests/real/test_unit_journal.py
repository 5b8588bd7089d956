"""A real journald and the evidence `log-patterns`: what services print, what is kept of it, and what is said to be missing."""

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from systemd_units import Units
from waiting import until

from paramedic.change.gathering import Look, gather
from paramedic.doors import reading
from paramedic.integrations.targets.systemd import Reader
from paramedic.machine.clock import utc_now
from paramedic.remediation.target import Target
from paramedic.transports.local import Local

pytestmark = pytest.mark.real

NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--")
PATIENCE = timedelta(seconds=60)
STAYS = "exec sleep infinity"

#: A burst of lines in far less than a second, of which journald keeps some hundred; it says so at the next one a second later.
FLOOD = "seq -f 'burst %.0f' 20000; while sleep 0.3; do echo after it; done"
LIMIT = "LogRateLimitIntervalSec=1s\nLogRateLimitBurst=100"

Looked = Callable[[Target], Look]


@pytest.fixture
def looked(units: Units, monkeypatch: pytest.MonkeyPatch) -> Looked:
    """The evidence `log-patterns` of a unit whose breach began just now."""
    monkeypatch.setattr(reading, "transport", lambda *_, **__: Local(units.via))

    def look(unit: Target) -> Look:
        [seen] = gather(unit, ("log-patterns",), since=utc_now(), patience=PATIENCE)
        return seen

    return look


def comes_to_say(looked: Looked, unit: Target, words: str) -> Look:
    def says() -> Look | None:
        seen = looked(unit)
        return seen if words in body(seen) else None

    found: Look = until(f"the journal of {unit.name} says {words!r}", says)
    return found


def body(look: Look) -> str:
    return "" if look.piece is None else look.piece.body


def test_what_services_print_is_told_as_they_meant_it(units: Units, looked: Looked) -> None:
    prints = r"""
echo ordinary line 1
echo ordinary line 2
printf '\033[31mERROR\033[0m pool exhausted\n'
printf '\033]0;a title\007after the title\n'
printf 'latin caf\351 is shut\n'
printf 'binary \001\376\377 tail\n'
head -c 100000 /dev/zero | tr '\0' x
echo
echo the last one
"""
    unit = units.running("prints", start=f"{prints}{STAYS}")
    told = body(comes_to_say(looked, unit, "the last one"))
    assert re.search(r"^ +2 .*: ordinary line 2$", told, re.MULTILINE), "one pattern"
    for line in (r": ERROR pool exhausted$", r": after the title$", r": latin café is shut$"):
        assert re.search(line, told, re.MULTILINE), line
    assert re.search(r": binary \\x01.* tail$", told, re.MULTILINE), "shown, and harmless"
    assert "blob data" not in told
    assert re.search(r": x{300,}… \(49,1\d\d characters\)$", told, re.MULTILINE), "journald splits it at 48 KiB"


def test_the_journal_as_it_is_has_no_blobs_and_no_colours_either(units: Units) -> None:
    unit = units.running("paints", start=rf"printf '\033[31mred\033[0m caf\351 is shut\n'; {STAYS}")
    reader = Reader(unit, Local(units.via), PATIENCE)
    printed = until("it has spoken", lambda: (told := reader.journal().text).startswith("20") and told)
    assert re.search(r": red caf(é|\\xe9) is shut\n\Z", printed)


def test_of_a_burst_the_end_is_read_and_what_comes_before_it_is_said_to_be_missing(
    units: Units, looked: Looked
) -> None:
    unit = units.running("bursts", start=f"echo begun; seq -f 'burst %.0f' 20000; echo the end; {STAYS}")
    look = comes_to_say(looked, unit, "the end")
    assert "owner's log: 5,000 lines of 2 patterns, 2 of them new" in body(look)
    assert "of which these lines have nothing: what was known then is not seen" in body(look)
    assert any(
        re.search(r"its owner's log: only the last 5,000 lines were read, back to 20.*Z$", why) for why in look.unseen
    )


def test_what_journald_has_suppressed_is_said(units: Units, looked: Looked) -> None:
    unit = units.running("flooded", start=FLOOD, more=LIMIT)
    look = comes_to_say(looked, unit, "Suppressed")
    [why] = [why for why in look.unseen if "suppressed" in why]
    dropped = int(re.search(r"journald has suppressed ([0-9,]+) more lines", why)[1].replace(",", ""))  # type: ignore[index]
    assert 15_000 < dropped < 20_000
    assert "LogRateLimitBurst= of flooded.service keeps them" in why


def test_lines_that_were_removed_between_two_looks_are_said_to_be_gone(units: Units, looked: Looked) -> None:
    unit = units.running("removed", start=f"echo what was there; {STAYS}")
    comes_to_say(looked, unit, "what was there")
    for clear in (("--rotate",), ("--vacuum-files=1",)):
        assert units.systemd.run("journalctl", *clear).returncode == 0
    look = looked(unit)
    assert look.piece is None
    assert re.match(
        r"its owner's log: it has no line of removed.service since 20.*Z; its owner's log: the journal itself begins at",
        look.fault,
    )


def test_a_unit_that_never_spoke_is_not_said_to_keep_no_journal(units: Units, looked: Looked) -> None:
    look = looked(units.running("speechless"))
    assert look.piece is None
    assert "its owner's log: it has no line of speechless.service since 20" in look.fault
    assert "keeps none" not in look.fault


def test_who_may_not_read_the_journal_is_told_which_group_may(
    units: Units, looked: Looked, monkeypatch: pytest.MonkeyPatch
) -> None:
    unit = units.running("secret", start=f"echo not for everybody; {STAYS}")
    comes_to_say(looked, unit, "not for everybody")
    monkeypatch.setattr(reading, "transport", lambda *_, **__: Local((*units.via, *NOBODY)))
    look = looked(unit)
    assert look.piece is None
    assert "insufficient permissions" in look.fault
    assert look.fault.endswith("the group systemd-journal would show them")

"""The incident machine: what ended has ended, and what a person has stays a person's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from paramedic.incidents.incident import IllegalMove, State, move, name, parse_ref, reopen
from paramedic.incidents.outcome import Ending

LEGAL = {
    ("open", "working"),
    ("open", "handed_over"),
    ("open", "acknowledged"),
    ("open", "resolved"),
    ("working", "working"),
    ("working", "handed_over"),
    ("working", "acknowledged"),
    ("working", "resolved"),
    ("handed_over", "acknowledged"),
    ("handed_over", "resolved"),
    ("acknowledged", "handed_over"),  # by time alone
    ("acknowledged", "acknowledged"),
    ("acknowledged", "resolved"),
}


@pytest.mark.parametrize("before", State)
@pytest.mark.parametrize("after", State)
def test_only_the_moves_of_this_table_are_legal(before: State, after: State) -> None:
    if (before, after) in LEGAL:
        assert move(before, after) is after
    else:
        with pytest.raises(IllegalMove, match=f"that is {before} cannot become {after}"):
            move(before, after)


@pytest.mark.parametrize("ending", [None, *Ending])
@pytest.mark.parametrize("state", State)
def test_only_what_a_playbook_ended_well_is_opened_again(state: State, ending: Ending | None) -> None:
    if state is State.RESOLVED and ending in (Ending.RECOVERED, Ending.REMEDIATED):
        assert reopen(state, ending) is State.OPEN
    else:
        with pytest.raises(IllegalMove, match="is not opened again"):
            reopen(state, ending)


class Life(RuleBasedStateMachine):
    """Any order of tries: whatever is asked, an incident never leaves a person and never comes back."""

    @initialize()
    def opened(self) -> None:
        self.state = State.OPEN
        self.a_person_was_told = False
        self.ended = False

    @rule(after=st.sampled_from(State))
    def is_moved(self, after: State) -> None:
        before = self.state
        try:
            self.state = move(before, after)
        except IllegalMove:
            assert (before, after) not in LEGAL
            assert self.state is before
        self.a_person_was_told |= self.state in (State.HANDED_OVER, State.ACKNOWLEDGED)
        self.ended |= self.state is State.RESOLVED

    @invariant()
    def a_person_s_incident_is_not_worked_on(self) -> None:
        if self.a_person_was_told:
            assert self.state not in (State.OPEN, State.WORKING)

    @invariant()
    def the_end_is_the_end(self) -> None:
        assert self.ended == (self.state is State.RESOLVED)


TestLife = Life.TestCase


@given(st.integers(1, 10**18 - 1))
def test_a_name_is_read_back(number: int) -> None:
    store = "3f0c1a52-6f2e-4a34-9a43-0d6c4e7d3f11"
    assert parse_ref(name(number)) == (None, number)
    assert parse_ref(f" inc-{number}\n") == (None, number)
    assert parse_ref(str(number)) == (None, number)
    assert parse_ref(f"{store}/{name(number)}") == (store, number)


@pytest.mark.parametrize(
    "text", ["", "INC-", "INC-0", "INC-01", "-1", "1; DROP TABLE incidents", "٣", "INC-1\nINC-2", "../INC-1", "9" * 19]
)
def test_what_is_no_incident_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not an incident"):
        parse_ref(text)

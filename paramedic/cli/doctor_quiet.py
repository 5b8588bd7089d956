"""The look of `paramedic doctor` at what is kept quiet: inhibition rules and silences."""

from contextlib import closing

from paramedic.catalog.library import open_library
from paramedic.cli.finding import Finding, store_of
from paramedic.settings import Settings
from paramedic.store import StoreUnavailable, StoreUnknown, silences
from paramedic.text.yaml_document import BadDocument


def quiet(settings: Settings) -> Finding:
    """Which rules inhibit alerts, and which silences are in force: nothing is wrong with either, and both hide alerts."""
    try:
        rules = [rule.words for rule in open_library(settings).services.inhibit]
    except BadDocument:
        return Finding("quiet", well=False, words="services.yaml cannot be read: `paramedic runbook lint`")
    made = []
    if (store := store_of(settings)) is not None:
        try:
            with closing(store), store.read() as tx:
                made = [f"{', '.join(silence.matchers)}: {silence.words}" for silence in silences.in_force(tx)]
        except (StoreUnavailable, StoreUnknown) as error:
            return Finding("quiet", well=False, words=f"which silences are in force cannot be read: {error}")
    counts = f"{_count(len(rules), 'inhibition rule')}, {_count(len(made), 'silence')} in force"
    return Finding("quiet", well=True, words="; ".join([counts, *rules, *made]), lines=(counts, *rules, *made))


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"

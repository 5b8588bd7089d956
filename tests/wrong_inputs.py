"""What people type wrong at a running Paramedic, by command, and the words of the answer: what is wrong, and what is allowed."""

import shlex
from dataclasses import dataclass


@dataclass(frozen=True)
class Wrong:
    """One command line; how it ends, and what its one error has to name. Where `anonymous`, nobody says who they are."""

    line: str
    code: int
    words: tuple[str, ...]
    anonymous: bool = False

    @property
    def argv(self) -> list[str]:
        return shlex.split(self.line)


def _wrong(line: str, code: int, *words: str, anonymous: bool = False) -> Wrong:
    return Wrong(line, code, words, anonymous)


NO_INCIDENT = ("there is no INC-999", "the newest is INC-1")
NO_SERVICE = "there is no service 'shpo'"
SHOP = "did you mean shop?"
MOMENT = ("is not a moment", "write 2026-01-31T22:00+01:00")

#: In the folder of tests/real/test_ten_minutes.py: the service `shop` at localhost/shop, the runbook `shop-down`, the person
#: `me`, INC-1, and the file `body.json`, which is no alert.
WRONG = (
    # An incident
    _wrong("incident show INC-999", 1, *NO_INCIDENT),
    _wrong("incident ack 999", 1, *NO_INCIDENT),
    _wrong("incident resolve 999", 1, *NO_INCIDENT),
    _wrong("incident note 999 'a word'", 1, *NO_INCIDENT),
    _wrong("incident retry 999", 1, *NO_INCIDENT),
    _wrong("incident approve 999", 1, *NO_INCIDENT),
    _wrong("incident report 999", 1, *NO_INCIDENT),
    _wrong("alert list --incident 999", 1, *NO_INCIDENT),
    _wrong("audit show --incident INC-999", 1, *NO_INCIDENT),
    _wrong("incident show 'INC-1; reboot'", 2, "'INC-1; reboot' is not an incident", "write INC-42"),
    _wrong("incident list --before last", 2, "'last' is not an incident", "write INC-42"),
    _wrong("incident approve 1", 1, "INC-1 asks for no approval", "resolved"),
    _wrong("incident note 1 ' '", 2, "nothing is written", "write some words"),
    _wrong("incident list --state broken", 2, "--state", "'broken'", "'handed_over'"),
    _wrong("incident list --severity fatal", 2, "--severity", "'fatal'", "'critical'"),
    _wrong("incident list --since yesterday", 2, "--since 'yesterday'", *MOMENT),
    _wrong("incident list --service shpo", 1, NO_SERVICE, SHOP),
    _wrong("incident list --service shop --service shpo", 1, NO_SERVICE, SHOP),
    _wrong("incident list --limit 0", 2, "--limit", "greater than or equal to 1"),
    # Who
    _wrong("incident ack 1", 2, "Missing option '--by'", "USER", anonymous=True),
    _wrong("pause", 2, "Missing option '--by'", anonymous=True),
    _wrong("resume", 2, "Missing option '--by'", anonymous=True),
    _wrong("pause --by ''", 2, "names nobody", "write 1 to 200 characters"),
    # Pauses
    _wrong("pause --service shpo", 1, NO_SERVICE, "nothing is paused", SHOP),
    _wrong("pause --runbook shop-dwon", 1, "there is no runbook 'shop-dwon'", "did you mean shop-down?"),
    _wrong("pause --service shop --runbook shop-down", 2, "one scope at a time", "neither for everything"),
    _wrong("pause --list --service shop", 2, "--list shows everything", "leave out --service"),
    _wrong("resume --service shpo", 1, NO_SERVICE, "paused now: service gone-api", SHOP),
    _wrong("resume --runbook no-such", 1, "there is no runbook 'no-such'", "paused now: service gone-api", "shop-down"),
    _wrong("resume --service shop --mass", 2, "one scope at a time"),
    # Maintenance
    _wrong("maintenance add --service shpo --to +2h --because 'a disk'", 1, "lists no service 'shpo'", SHOP),
    _wrong(
        "maintenance add --service shop --target web-1/shop --to +2h --because 'a disk'",
        1,
        "lists no target 'web-1/shop' of shop",
        "localhost/shop",
    ),
    _wrong("maintenance add --service shop --to 2hours --because 'a disk'", 2, "--to '2hours'", *MOMENT),
    _wrong("maintenance add --service shop --to -2h --because 'a disk'", 2, "it would end at", "write a later end"),
    _wrong("maintenance add --service shop --to +900d --because 'a disk'", 2, "it would last 21600h", "744h"),
    _wrong("maintenance add --service shop --to +2h", 2, "Missing option '--because'"),
    _wrong("maintenance end 99", 1, "there is no maintenance window 99", "`paramedic maintenance list --past`"),
    _wrong("maintenance list --service shpo", 1, NO_SERVICE, SHOP),
    # Breakers
    _wrong(
        "breaker reset localhost/shpo", 1, "no breaker is tripped for any remedy at localhost/shpo", "tripped are: none"
    ),
    _wrong("breaker reset", 2, "name the TARGET", "--fleet"),
    _wrong("breaker reset localhost/shop --fleet", 2, "name the TARGET", "or --fleet"),
    # Who is on call
    _wrong("oncall who --at noon", 2, "'noon' is not a moment", "2026-12-24 18:00"),
    _wrong("oncall test eve", 2, "oncall.yaml knows no 'eve'", "there are me"),
    _wrong("oncall override --person eve --from 2036-12-24 --to 2036-12-25", 2, "knows no 'eve'", "there are me"),
    _wrong("oncall override --person me --from 2036-12-25 --to 2036-12-24", 2, "--to 2036-12-24 is not after --from"),
    _wrong("oncall schedule --days 0", 2, "--days", "greater than or equal to 1"),
    # What authors write
    _wrong("runbook show shop-dwon", 1, "there is no usable runbook 'shop-dwon'", "shop-down"),
    _wrong("runbook test shop-down --label shop", 2, "--label 'shop'", "write it as name=value"),
    _wrong("runbook test shop-down --label a=b --alert body.json", 2, "give one of both"),
    _wrong("runbook test shop-down --alert body.json", 2, "body.json", "alerts", "a list of alerts"),
    _wrong("runbook record no-such", 1, "'no-such' never had an incident", "these had: shop-down"),
    _wrong("runbook new other --service shpo", 1, "services.yaml lists no target of 'shpo'", SHOP),
    _wrong("runbook new ../other --service shop", 2, "'../other'", "small letters, digits and -"),
    _wrong("runbook list --folder gone", 2, "--folder", "'gone' does not exist"),
    _wrong("check run no-such", 1, "there is no check 'no-such'", "there are none"),
    _wrong("host test web-9", 2, "services.yaml lists no host 'web-9'", "it lists: none"),
    _wrong("playbook lint no-such", 1, "no folder of playbooks is named", "set PARAMEDIC_FLOWS"),
    # Files and folders
    _wrong("alert send gone.json", 2, "'gone.json' does not exist"),
    _wrong("alert send body.json --source nagios", 2, "'nagios' among the sources", "there are alertmanager"),
    _wrong("alert refused --before 7", 1, "no body 7 is kept", "`paramedic alert refused`"),
    _wrong("audit seal segment --before tomorrow", 2, "--before 'tomorrow'", "write a day, as 2026-01-31"),
    _wrong("audit export body.json", 2, "body.json exists already", "nothing was written"),
    _wrong("audit export out --json", 2, "No such option: --json"),
    _wrong("backup body.json", 1, "body.json exists already", "nothing was written"),
    _wrong("restore body.json", 2, "another `paramedic up`", "stop it"),
    _wrong("incident list --data gone", 2, "--data gone: there is no such folder"),
    _wrong("incident shwo 1", 2, "No such command 'shwo'", "Did you mean 'show'?"),
    _wrong("incident show 1 --jsn", 2, "No such option: --jsn", "--json"),
)

#: These print JSON anyway, or are no commands: `--json` is one more mistake.
WITHOUT_JSON = ("audit export", "incident shwo", "incident show 1 --jsn")

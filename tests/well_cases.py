"""Incidents, each with a folder that lint calls well and an alert that one of its targets is meant by."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from hypothesis import strategies as st
from well_files import (
    COMMANDS,
    DAY,
    HOUR,
    MINUTE,
    MS,
    ONCALL,
    At,
    Folder,
    Has,
    Said,
    checks,
    matchers,
    meanings,
    remedies,
    services,
    sizes,
    some,
    spans,
    templates,
    written,
)

from paramedic.alerts.alert import Severity
from paramedic.catalog import target_kinds
from paramedic.kinds.evidence import LOG_TAIL

LABEL = {"supervisord": "program", "systemd": "unit"}


@dataclass(frozen=True)
class Case:
    """A folder, and an alert that it is for: of which of its targets, how bad, and by which labels it says so."""

    folder: Folder
    number: int
    severity: Severity
    labels: dict[str, str]

    @property
    def service(self) -> str:
        return next(iter(self.folder.services["services"]))

    @property
    def wanted(self) -> Any:
        """The name of the alert that it is for, and the conditions on its labels."""
        return self.folder.runbook["when"][0]["alert"].means

    @property
    def kind(self) -> str:
        return next(key for key in self.listed if key in LABEL)

    @property
    def mode(self) -> str:
        return str(self.folder.runbook.get("mode", "observe"))

    @property
    def listed(self) -> dict[str, Any]:
        found: dict[str, Any] = self.folder.services["services"][self.service]["targets"][self.number]
        return found


@st.composite
def cases(draw: st.DrawFn, mode: str | None = "act") -> Case:
    """An incident by a runbook of this mode, or of none."""
    act_deadline = draw(spans(timedelta(seconds=1), HOUR))
    names = tuple(draw(st.lists(st.sampled_from(COMMANDS), max_size=2, unique=True)))
    has = Has(draw(st.booleans()), draw(st.booleans()), draw(st.booleans()), names)
    listed = draw(services(has, act_deadline.means))
    [(service, listing)] = listed["services"].items()
    number = draw(st.integers(0, len(listing["targets"]) - 1))
    target = listing["targets"][number]
    kind = next(key for key in target if key in LABEL)
    name = target[kind]["program"] if kind == "supervisord" else target[kind]
    measured = [draw(_check())] if draw(st.booleans()) else []
    called, labels = _called(draw, kind, name, target, bool(measured))
    ladder = remedies(draw, has, kind)
    only_restart = [said.means for said in ladder] == [("restart", None)]
    runbook: dict[str, Any] = {
        "runbook": draw(st.sampled_from(["api-down", "größe"])),
        "service": service,
        "when": [{"alert": draw(matchers())}, *measured],
        "playbook": draw(
            st.sampled_from(["restart-service", "restore-service"] if only_restart else ["restore-service"])
        ),
        "with": {"target": called, "verify": draw(_verify(has, measured)), "remedies": ladder}
        | some(draw, {"evidence": _evidence(kind, has)}),
    }
    runbook |= {} if mode is None else {"mode": mode}
    ways = st.lists(st.sampled_from(["webhook:ops", "apprise:chat", "email:ada@example.org"]), max_size=3, unique=True)
    runbook |= some(
        draw,
        {
            "settle": spans(timedelta(0), 7 * DAY),
            "escalate": st.sampled_from(["default", "second"]).map(lambda policy: {"policy": policy}),
            "observe": st.sampled_from(["first", "late", "all"]).map(lambda page: {"page": page}),
            "notify": ways.map(lambda names: Said(names, tuple(names))),
        },
    )
    keys = {
        "probe_timeout": spans(timedelta(milliseconds=10), MINUTE),
        "approve_within": spans(timedelta(seconds=1), 7 * DAY),
    }
    chosen = {"act_deadline": act_deadline} | some(draw, keys)
    return Case(Folder(listed, runbook, ONCALL, chosen), number, draw(st.sampled_from(list(Severity))), labels)


def _called(
    draw: st.DrawFn, kind: str, name: str, target: dict[str, Any], checked: bool
) -> tuple[dict[str, Any], dict[str, str]]:
    """`with.target`, and what an alert's labels say. With checks their own alerts must find it too."""
    if checked:
        called = {
            kind: draw(st.sampled_from([name, f"{{{LABEL[kind]}}}"])),
            "host": draw(st.sampled_from(["{host}", target["host"]])),
        }
        return called, {LABEL[kind]: name, "host": target["host"]}
    spelling = draw(st.sampled_from([target["host"], *written(target.get("also", []))]))
    of_name, of_host = draw(templates("job name", name)), draw(templates("instance", spelling))
    return {kind: of_name.text, "host": of_host.text}, of_name.means | of_host.means


@st.composite
def _check(draw: st.DrawFn) -> dict[str, Any]:
    """An address that is asked, with the share of its errors, and perhaps how slow it is."""
    keys = draw(checks(1, ["http://…"], all_keys=True))
    slow = draw(st.sampled_from([None, "latency_p50", "latency_p95"]))
    return {key: value for key, value in keys.items() if not key.startswith("latency") or key == slow}


@st.composite
def _verify(draw: st.DrawFn, has: Has, measured: list[dict[str, Any]]) -> dict[str, Any]:
    metrics = [key for check in measured for key in check if key.startswith(("latency", "error"))]
    conditions: dict[str, st.SearchStrategy[Any]] = {"memory_below": _memory()}
    if has.health:
        conditions["health"] = st.just("ok")
    if metrics:
        lists = st.lists(st.sampled_from(metrics), min_size=1, unique=True)
        conditions["check"] = lists.map(lambda names: Said(names, tuple(names))) | st.sampled_from(metrics).map(
            lambda name: Said(name, (name,))
        )
    found = some(draw, conditions) or {"memory_below": draw(_memory())}
    stable = draw(spans(timedelta(milliseconds=10), 40 * MINUTE))
    return found | {"stable": stable, "within": draw(spans(stable.means + 20 * MS, 50 * MINUTE))}


def _memory() -> st.SearchStrategy[Said]:
    return sizes(1000, 10**12)


def _evidence(kind: str, has: Has) -> st.SearchStrategy[Said]:
    offered = [
        *target_kinds.of(kind).EVIDENCE,
        *([LOG_TAIL] if has.log else []),
    ]  # of the kind itself: its machine is recorded
    return st.lists(st.sampled_from(offered), unique=True).map(lambda names: Said(names, tuple(names)))


# --- what it comes to -----------------------------------------------------------------------------------------------


def expected(case: Case) -> dict[At, Any]:
    """What every value means that such an incident has to do with."""
    folder, observes = case.folder, case.mode == "observe"
    found = {("runbook", *at): means for at, means in meanings(folder.runbook).items() if at[0] != "when" or at[1] == 0}
    found |= {("settings", *at): means for at, means in meanings(folder.settings).items()}
    found |= {("target", *at): means for at, means in meanings(case.listed).items()}
    if "owner" in folder.services["services"][case.service]:
        found["owner",] = folder.services["services"][case.service]["owner"]
    idle: set[At] = (
        set() if "health" in folder.runbook["with"]["verify"] else {("target", "health"), ("settings", "probe_timeout")}
    )
    idle |= {("runbook", "settle"), ("settings", "act_deadline")} if observes else {("runbook", "observe", "page")}
    idle |= set() if case.mode == "ask" else {("settings", "approve_within")}
    return {at: means for at, means in found.items() if at not in idle}


def sent_by(case: Case, name: str) -> list[tuple[Any, ...]]:
    """What the whole ladder sends to the target of this name, in its order."""
    found: list[tuple[Any, ...]] = []
    for remedy in case.folder.runbook["with"]["remedies"]:
        word, detail = remedy.means
        if word == "run":
            found.append(("run", *run_by(case, detail)))
            continue
        if word == "reload":
            program = case.listed.get("supervisord")
            found.append(("reload", name) if program is None else ("reload", name, program["reload"]))
            continue
        if word.startswith("rollback"):
            found.append(("rollback", case.listed["releases"]))
        found.append(("restart", name))
    return found


def run_by(case: Case, name: str) -> tuple[Any, ...]:
    """What the machine is asked for by a declared command."""
    said = meanings(case.listed["commands"][name])
    environment = {variable: f"of {variable}" for variable in said.get(("environment",), ())}
    within = said["timeout",]
    return said["run",], said.get(("cwd",)), environment, within, within + timedelta(seconds=5)


# --- checks and guardrails ------------------------------------------------------------------------------------------


@st.composite
def check_folders(draw: st.DrawFn) -> Folder:
    """A folder whose runbook has checks."""
    listed = draw(services(Has(releases=False)))
    [(service, listing)] = listed["services"].items()
    kind = next(key for key in listing["targets"][0] if key in ("supervisord", "systemd"))
    label = LABEL[kind]
    runbook = {
        "runbook": draw(st.sampled_from(["api-slow", "größe"])),
        "service": service,
        "when": [draw(checks(number)) for number in range(draw(st.integers(1, 2)))],
        "playbook": "restart-service",
        "with": {
            "target": {kind: f"{{{label}}}", "host": draw(st.sampled_from(["{host}", "{instance}"]))},
            "verify": {"memory_below": "1GB", "stable": "1m", "within": "5m"},
        },
        "group": draw(st.sampled_from(["default", "slow-ones", "a1"])),
    }
    return Folder(listed, runbook, ONCALL, {})


PERIODS = {"minute": MINUTE, "hour": HOUR, "day": DAY, "week": 7 * DAY}


@st.composite
def budgets(draw: st.DrawFn) -> Said:
    """So many changes within a period."""
    count = draw(st.integers(1, 4))
    words = st.sampled_from([Said(word, span) for word, span in PERIODS.items()])
    per = draw(words | spans(timedelta(seconds=1), 365 * DAY).filter(lambda said: len(said.text) <= 20))
    return Said(f"{count} per {per.text}", (count, per.means))


@st.composite
def quorums(draw: st.DrawFn, of: int) -> Said:
    """A share of so many members that leaves one to be changed; it means how many must be healthy."""
    if draw(st.booleans()):
        count = draw(st.integers(1, of - 1))
        return Said(f"{count} of {of}", count)
    percent = draw(st.integers(1, 100 * (of - 1) // of))
    return Said(f"{percent}%", -(-percent * of // 100))


#: Zones whose clocks are never changed: how far they are ahead of UTC.
_ZONES = {"UTC": timedelta(0), "Asia/Tokyo": 9 * HOUR, "America/Bogota": -5 * HOUR}


@st.composite
def stretches(draw: st.DrawFn) -> Said:
    """One stretch of local time or a list of two; it means when each begins and ends, in UTC, in one week of 2026."""
    found = [draw(_stretch(date(2026, 2, day))) for day in draw(st.sampled_from([(2,), (6,), (2, 6), (6, 2)]))]
    means = tuple(said.means for said in found)
    return Said(found[0].text if len(found) == 1 and draw(st.booleans()) else [said.text for said in found], means)


@st.composite
def _stretch(draw: st.DrawFn, day: date) -> Said:
    """One that begins on this day, or the next one, and lasts a day at most: in any of the forms that mean it."""
    zone = draw(st.sampled_from(list(_ZONES)))
    day += timedelta(days=draw(st.integers(0, 1)))
    begins = datetime.combine(day, time(0), UTC)
    if draw(st.booleans()):
        ends = begins + DAY
        forms = [f"{day:%a}", f"{day:%a} 00:00 to 24:00", f"{day} to {day}", f"{day:%-d %b} to {day:%-d %b}"]
    else:
        begins += draw(st.integers(0, 1439)) * MINUTE
        ends = begins + draw(st.integers(1, 1439)) * MINUTE
        forms = [
            f"{begins:%a %H:%M} to {ends:%H:%M}",
            f"{begins:%a %H:%M}-{ends:%H:%M}",
            f"{begins:%a %H:%M} to {ends:%a %H:%M}",
            f"{begins:%Y-%m-%d %H:%M} to {ends:%Y-%m-%d %H:%M}",
            f"{begins:%-d %b %H:%M} to {ends:%-d %b %H:%M}",
        ]
    ahead = _ZONES[zone]
    return Said(f"{draw(st.sampled_from(forms))} {zone}", (begins - ahead, ends - ahead))


@st.composite
def guarded_folders(draw: st.DrawFn) -> Folder:
    """A folder whose runbook asks for guardrails."""
    has = Has(commands=("flush",))
    listed = draw(services(has))
    [(service, listing)] = listed["services"].items()
    kind = next(key for key in listing["targets"][0] if key in LABEL)
    ladder = remedies(draw, has, kind)
    words = [detail and f"run: {detail}" if word == "run" else word for word, detail in (said.means for said in ladder)]
    of = len(listing["targets"])
    agreed_when = [*(one.value for one in Severity), "out-of-hours"]
    keys: dict[str, st.SearchStrategy[Any]] = {
        "hours": stretches(),
        "freeze": stretches(),
        "budget": budgets(),
        "service_budget": budgets(),
        "cooldown": spans(timedelta(0), 365 * DAY),
        "at_once": st.integers(1, of).map(lambda count: Said(f"{count} of {of}", (count, of))),
        "again": st.booleans(),
        "approval": st.just("out-of-hours")
        | st.dictionaries(st.sampled_from(words), st.sampled_from(agreed_when), min_size=1),
    }
    if of > 1:  # of one alone none would be left to be healthy
        keys["keep_healthy"] = quorums(of)
    asked = {key: draw(value) for key, value in keys.items() if draw(st.integers(0, 2))}
    if asked.get("again") and "budget" not in asked:
        asked["budget"] = draw(budgets())
    approval = asked.get("approval", {})
    if "hours" not in asked and "out-of-hours" in (
        approval,
        *(approval.values() if approval != "out-of-hours" else ()),
    ):
        asked["hours"] = draw(stretches())
    runbook = {
        "runbook": "api-down",
        "service": service,
        "when": [{"alert": "Down"}],
        "mode": draw(st.sampled_from(["act", "ask"])),
        "playbook": "restore-service",
        "with": {
            "target": {kind: "{name}", "host": "{host}"},
            "remedies": ladder,
            "verify": {"health": "ok", "stable": "1m", "within": "5m"},
        },
        "guardrails": asked,
    }
    return Folder(listed, runbook, ONCALL, {})

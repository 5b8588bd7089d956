"""What services.yaml and a runbook may say of a disk, and what is refused; what a deletion consists of."""

import re
import shlex
from datetime import timedelta

import pytest
from incident_states import PEOPLE

from paramedic.catalog.agreement import Others, agreeing
from paramedic.catalog.runbook_file import parse
from paramedic.catalog.services import Services, parse_services
from paramedic.catalog.withdrawal import withdrawn
from paramedic.integrations.targets import disk as kind
from paramedic.kinds.disk_files import Entry, File, deletion, sudoers
from paramedic.oncall.oncall_file import parse_oncall
from paramedic.remediation.target import Identity
from paramedic.text.yaml_document import BadDocument

CLEAN = '{path: /var/log/shop, names: ["*.gz", "app.log.*"], older_than: 1d}'
SERVICES = f"""\
services:
  shop:
    targets:
      - {{host: web-1, disk: {{mount: /var, free: 15%, clean: [{CLEAN}]}}}}
      - {{host: web-1, systemd: app.service}}
      - {{host: web-1, machine: {{}}}}
"""

RUNBOOK = """\
---
runbook: disk-full
service: shop
when:
  - alert: DiskFull
  - {check: free_space, free: {critical: 15%}}
mode: act
playbook: restore-service
with:
  target: {disk: "{mountpoint}", host: "{instance}"}
  remedies: [free_disk]
  evidence: [files, disk]
  verify: {check: free, stable: 1m, within: 5m}
---
**Meaning.** m
**Impact.** i
## Diagnosis
d
## Mitigation
m
"""


def services(clean: str = CLEAN, mount: str = "/var", more: str = "") -> Services:
    text = SERVICES.replace(CLEAN, clean).replace("mount: /var,", f"mount: {mount}, {more}")
    return parse_services(text, "services.yaml")


def test_it_is_a_part_of_its_machine_and_called_by_its_mount_point() -> None:
    found = services().by_id("web-1/disk:/var")
    assert found is not None
    assert found.overlapping == ("web-1/machine:system",)
    assert found.words.entries == [Entry("/var/log/shop", ("*.gz", "app.log.*"), timedelta(days=1), 1)]
    assert (found.words.free, found.words.at_most) == (15.0, 500)


def test_a_runbook_frees_the_disk_that_an_alert_names_by_its_mount_point() -> None:
    oncall = parse_oncall(PEOPLE, "oncall.yaml")
    others = Others("disk-full", services(), oncall, ("restore-service",))
    assert agreeing(parse(RUNBOOK, "disk-full.md"), "disk-full.md", others).remedies[0].offered == "free_disk"
    text = RUNBOOK.replace('disk: "{mountpoint}"', "systemd: app.service")
    with pytest.raises(BadDocument, match="targets of the kind systemd offer no free_disk"):
        agreeing(parse(text, "disk-full.md"), "disk-full.md", others)


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("/", "not in /var|system's own"),
        ("/etc/shop", "the system's own"),
        ("/usr", "the system's own"),
        ("/var/lib/dpkg/info", "the system's own"),
        ("/var/log/../lib", "not written as it is"),
        ("/var//log", "not written as it is"),
        ("/var/log/", "not written as it is"),
        ("/srv/shop", "is not in /var"),
        ("/variable/x", "is not in /var"),
        ("var/log", "path"),
        ('"/var/log/a b"', "path"),
        ('"/var/log/{host}"', "path"),
        ('"/var/log/*"', "path"),
    ],
)
def test_a_path_is_one_folder_as_it_really_is(path: str, why: str) -> None:
    with pytest.raises(BadDocument, match=why):
        services(CLEAN.replace("/var/log/shop", path))


@pytest.mark.parametrize(
    ("names", "why"),
    [
        ('["*"]', "fits almost every file"),
        ('["*.*"]', "fits almost every file"),
        ('["[a-z]*"]', "fits almost every file"),
        ('["*a"]', "fits almost every file"),
        ('["-delete"]', "names"),
        ('["a/*.gz"]', "names"),
        ('["*.gz\\n"]', "names"),
        ('["a b.gz"]', "names"),
        ("[]", "names"),
    ],
)
def test_a_pattern_names_something(names: str, why: str) -> None:
    with pytest.raises(BadDocument, match=why):
        services(CLEAN.replace('["*.gz", "app.log.*"]', names))


@pytest.mark.parametrize(
    ("clean", "why"),
    [
        (CLEAN.replace(", older_than: 1d", ""), "older_than"),
        (CLEAN.replace("1d", "1m"), "too short"),
        (CLEAN.replace("1d}", "1d, depth: 9}"), "depth"),
        (f"{CLEAN}, {CLEAN}", "is named twice"),
        (f"{CLEAN}, {CLEAN.replace('/var/log/shop', '/var/log/shop/old')}", "is named twice"),
    ],
)
def test_what_may_be_deleted_is_said_whole_and_once(clean: str, why: str) -> None:
    with pytest.raises(BadDocument, match=why):
        services(clean)


@pytest.mark.parametrize(("more", "why"), [("at_most: 0,", "at_most"), ("at_most: 5000,", "at_most")])
def test_how_many_at_once_has_bounds(more: str, why: str) -> None:
    with pytest.raises(BadDocument, match=why):
        services(more=more)


FILE = File(65024, 7, 10, "1700000000.000000000", 1, 4096, "/var/log/shop/a.gz")
ENTRIES = [
    Entry("/var/log/shop", ("*.gz", "[ab]?.log"), timedelta(seconds=601), 1),
    Entry("/var/tmp/x+y", ("core.*",), timedelta(days=1), 3),
]


def test_a_deletion_names_each_file_by_inode_size_and_last_write() -> None:
    command = shlex.join(deletion(ENTRIES, [FILE]))
    assert command == (
        "find -P /var/log/shop /var/tmp/x+y -xdev -mindepth 1 -maxdepth 3 -type f -links 1 "
        "'(' -path '/var/log/shop/*' '(' -name '*.gz' -o -name '[ab]?.log' ')' -mmin +11 "
        "-o -path '/var/tmp/x+y/*' '(' -name 'core.*' ')' -mmin +1440 ')' "
        "'(' -false -o -inum 7 -size 10c -newermt @1699999999.999999999 '!' -newermt @1700000000.000000000 ')' "
        "-delete -printf %i."
    )


def test_its_line_of_the_sudoers_fits_every_deletion_of_this_disk_and_none_of_another() -> None:
    line = sudoers(ENTRIES)
    for files in ([], [FILE], [FILE] * 3):
        assert re.fullmatch(line, " ".join(deletion(ENTRIES, files)[1:])), files
    for other in (deletion(ENTRIES[:1], [FILE]), [*deletion(ENTRIES, [FILE]), "-exec", "sh"]):
        assert not re.fullmatch(line, " ".join(other[1:]))
    assert not re.fullmatch(line, " ".join(deletion(ENTRIES, [FILE])[1:]).replace("-size 10c", "-size 10c -o -true"))


def test_it_has_happened_where_the_first_file_is_gone() -> None:
    before = Identity("x", {"mounted": "8:1", "first": "1-7-10-1.0"})
    assert kind.restarted(before, Identity("up", {"mounted": "8:1", "first": None}))
    assert not kind.restarted(before, before)
    assert not kind.restarted(Identity("x", {"mounted": "8:1", "first": None}), before)


def test_a_folder_that_an_author_takes_out_meanwhile_is_withdrawn() -> None:
    runbook = parse(RUNBOOK, "disk-full.md")
    then, now = services(), services(CLEAN.replace("*.gz", "*.bz2"))
    target = then.by_id("web-1/disk:/var")
    assert target is not None
    same = {"alerts": (), "target": target}
    assert withdrawn(runbook, runbook, runbook.remedies[0], services=then, **same) is None  # type: ignore[arg-type]
    why = withdrawn(runbook, runbook, runbook.remedies[0], services=now, **same)  # type: ignore[arg-type]
    assert why == "services.yaml says of web-1/disk:/var something else than when the run began"

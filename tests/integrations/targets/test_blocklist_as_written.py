"""What services.yaml and a runbook may say of a blocklist; which text of an alert is an address, and which is none."""

import re
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from incident_states import PEOPLE

from paramedic.catalog import runbook_file
from paramedic.catalog.agreement import Others, agreeing
from paramedic.catalog.runbook_file import parse
from paramedic.catalog.services import Services, parse_services
from paramedic.integrations.targets import blocklist as kind
from paramedic.kinds.asked import filled
from paramedic.kinds.blocked_addresses import address, creation, plain, sudoers, why_never
from paramedic.oncall.oncall_file import parse_oncall
from paramedic.remediation.remedy import Verb
from paramedic.text.yaml_document import BadDocument

LIST = "{name: abusers, table: inet filter, ipv4: blocked4, ipv6: blocked6, never: [10.0.0.0/8]}"
SERVICES = f"""\
services:
  shop:
    targets:
      - {{host: web-1, blocklist: {LIST}}}
      - {{host: web-1, systemd: app.service}}
"""

BLOCK = '{block_address: {address: "{client_ip}", for: 1h}}'
RUNBOOK = f"""\
---
runbook: abuse
service: shop
when: [{{alert: Abuse}}, {{check: heartbeat, name: web-1, every: 1m, missing_for: {{critical: 1h}}}}]
mode: act
playbook: restore-service
with:
  target: {{blocklist: abusers, host: "{{instance}}"}}
  remedies: [{BLOCK}]
  evidence: [blocked]
  verify: {{check: missing_for, stable: 1m, within: 5m}}
---
**Meaning.** m
**Impact.** i
## Diagnosis
d
## Mitigation
m
"""


def services(written: str = LIST) -> Services:
    return parse_services(SERVICES.replace(LIST, written), "services.yaml")


def others() -> Others:
    return Others("abuse", services(), parse_oncall(PEOPLE, "oncall.yaml"), ("restore-service",))


def test_a_runbook_says_where_the_address_is_and_for_how_long() -> None:
    [remedy] = agreeing(parse(RUNBOOK, "abuse.md"), "abuse.md", others()).remedies
    assert (remedy.verb, remedy.name, remedy.asked.time) == (Verb.OFFERED, "block_address", timedelta(hours=1))
    assert (remedy.asked.widest_ipv4, remedy.asked.widest_ipv6) == (32, 128)
    assert hash(remedy) == hash(parse(RUNBOOK, "abuse.md").remedies[0])


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("block_address", "write `restart`"),
        ("{block_address: {for: 1h}}", "address"),
        ('{block_address: {address: "{client_ip}"}}', "for"),
        ('{block_address: {address: "192.0.2.1", for: 1h}}', "comes from the alert"),
        ('{block_address: {address: "{client_ip}", for: 1s}}', "too short"),
        ('{block_address: {address: "{client_ip}", for: 30d}}', "too long"),
        ('{block_address: {address: "{client_ip}", for: 1h, widest_ipv4: 1}}', "widest_ipv4"),
        ('{block_address: {address: "{client_ip}", for: 1h, everywhere: true}}', "everywhere"),
        ('{block_address: {address: "{client_ip", for: 1h}}', "stray brace"),
    ],
)
def test_what_a_runbook_cannot_say_is_refused_where_it_is_written(written: str, why: str) -> None:
    with pytest.raises(BadDocument, match=re.escape(why)) as no:
        parse(RUNBOOK.replace(BLOCK, written), "abuse.md")
    assert "with.remedies" in str(no.value)


def test_lint_refuses_what_the_kind_of_target_cannot_do() -> None:
    text = RUNBOOK.replace("blocklist: abusers", "systemd: app.service").replace("[blocked]", "[]")
    with pytest.raises(BadDocument, match="targets of the kind systemd offer no block_address"):
        agreeing(parse(text, "abuse.md"), "abuse.md", others())


def test_the_schema_shows_how_it_is_written() -> None:
    shown = str(runbook_file.schema())
    assert "block_address" in shown
    assert "widest_ipv6" in shown


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("{name: abusers, table: inet filter}", "name a set"),
        (LIST.replace("inet filter", "filter"), "table"),
        (LIST.replace("inet filter", "inet filter; flush"), "table"),
        (LIST.replace("blocked4", "'-f'"), "ipv4"),
        (LIST.replace("10.0.0.0/8", "10.0.0.1/8"), "host bits"),
        (LIST.replace("10.0.0.0/8", "web-1"), "never"),
        (LIST.replace("abusers", "'{list}'"), "name"),
    ],
)
def test_what_services_yaml_cannot_say_is_refused(written: str, why: str) -> None:
    with pytest.raises(BadDocument, match=why):
        services(written)


def test_it_is_called_by_its_name_and_found_by_table_and_sets() -> None:
    found = services().by_id("web-1/blocklist:abusers")
    assert found is not None
    assert found.address == "inet filter: blocked4, blocked6"


@given(st.text(max_size=60))
def test_whatever_an_alert_says_is_an_address_or_nothing(text: str) -> None:
    """What is written for nft has nothing of the text but digits, colons, dots and a slash."""
    try:
        network = address(text)
    except ValueError:
        return
    assert re.fullmatch(r"[0-9a-f:.]+(/[0-9]+)?", plain(network))
    command = creation("inet", "filter", [("blocked4", [network])], timedelta(hours=1))
    assert re.fullmatch(sudoers("inet", "filter", ["blocked4"]), " ".join(command[1:]))


@given(st.ip_addresses(v=4), st.integers(0, 32))
def test_no_network_that_holds_an_excepted_address_is_blocked(excepted: Any, length: int) -> None:
    network = address(f"{excepted}/{length}") if length == 32 else None
    from ipaddress import ip_network

    network = network or ip_network(f"{excepted}/{length}", strict=False)
    assert why_never(network, [("ours", [str(excepted)])]) is not None


def test_each_alert_that_says_something_else_counts_once_and_one_without_the_label_not() -> None:
    words = kind.Block.model_validate({"address": "{client_ip}", "for": "1h"})
    alerts = [{"client_ip": "192.0.2.1"}, {"other": "x"}, {"client_ip": "192.0.2.1"}, {"client_ip": "{other}"}]
    assert filled(words, alerts) == ({"address": "192.0.2.1"}, {"address": "{other}"})

"""Tiers, customers and dependencies as authors write them, and what lint says of wrong ones."""

import pytest

from paramedic.catalog.dependencies import needed_by
from paramedic.catalog.services import Services, parse_services
from paramedic.incidents.tier import Tier
from paramedic.remediation.service import UNLISTED
from paramedic.text.yaml_document import BadDocument


def services(**words: str) -> Services:
    """A file with these services, each with these words of its own."""
    listed = "".join(
        f"  {name}:\n    {more}\n    targets: [{{host: web-1, systemd: {name}.service}}]\n"
        for name, more in words.items()
    )
    return parse_services(f"services:\n{listed}", "services.yaml")


def wrong(**words: str) -> str:
    with pytest.raises(BadDocument) as caught:
        services(**words)
    return str(caught.value)


def test_a_service_has_a_tier_what_customers_notice_and_what_it_depends_on() -> None:
    listed = services(
        shop="{tier: core, customers: Nobody can order., depends_on: [db]}"[1:-1].replace(", ", "\n    "),
        db="tier: low",
    )
    shop = listed.about("shop")
    assert (shop.tier, shop.customers, shop.depends_on) == (Tier.CORE, "Nobody can order.", ("db",))
    assert [target.tier for target in listed] == [Tier.CORE, Tier.LOW]


def test_what_says_nothing_is_a_standard_service_and_so_is_one_that_is_not_listed() -> None:
    assert services(shop="owner: us").about("shop").tier is Tier.STANDARD
    assert services(shop="owner: us").about("other") == UNLISTED


def test_a_tier_that_is_none_is_refused_with_those_that_are() -> None:
    found = wrong(shop="tier: gold")
    assert "tier" in found
    assert all(tier in found for tier in Tier)


def test_an_unknown_service_is_refused_with_the_nearest_one() -> None:
    assert "there is no service 'databse'; did you mean database?" in wrong(
        shop="depends_on: [databse]", database="tier: core"
    )


def test_a_service_that_depends_on_itself_is_refused() -> None:
    assert "depends_on.0: it depends on itself" in wrong(shop="depends_on: [shop]").replace("[0]", ".0")


def test_a_service_named_twice_is_refused() -> None:
    assert "it names 'db' twice" in wrong(shop="depends_on: [db, db]", db="tier: core")


def test_a_cycle_is_refused_by_name_and_once() -> None:
    found = wrong(a="depends_on: [b]", b="depends_on: [c]", c="depends_on: [a]", d="depends_on: [a]")
    assert found.count("a cycle") == 1
    assert "a cycle: a → b → c → a" in found


def test_two_cycles_are_two_faults_each_with_its_own_names() -> None:
    found = wrong(a="depends_on: [b, c]", b="depends_on: [a]", c="depends_on: [d]", d="depends_on: [c]")
    assert "a cycle: a → b → a" in found
    assert "a cycle: c → d → c" in found


def test_a_diamond_is_no_cycle_and_its_services_are_found_once_the_nearest_first() -> None:
    listed = services(
        shop="depends_on: [api, queue]", api="depends_on: [db]", queue="depends_on: [db]", db="tier: core"
    )
    assert needed_by("shop", listed.facts) == ("api", "queue", "db")
    assert needed_by("db", listed.facts) == ()


def test_a_long_chain_is_followed_to_its_end() -> None:
    chain = {f"s{number}": f"depends_on: [s{number + 1}]" for number in range(200)}
    assert len(needed_by("s0", services(**chain, s200="tier: low").facts)) == 200

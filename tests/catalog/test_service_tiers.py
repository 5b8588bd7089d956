"""Tiers of services and what customers notice, as authors write them."""

import pytest

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


def test_a_service_has_a_tier_and_what_customers_notice() -> None:
    listed = services(shop="tier: core\n    customers: Nobody can order.", db="tier: low")
    shop = listed.about("shop")
    assert (shop.tier, shop.customers) == (Tier.CORE, "Nobody can order.")
    assert [target.tier for target in listed] == [Tier.CORE, Tier.LOW]


def test_what_says_nothing_is_a_standard_service_and_so_is_one_that_is_not_listed() -> None:
    assert services(shop="owner: us").about("shop").tier is Tier.STANDARD
    assert services(shop="owner: us").about("other") == UNLISTED


def test_a_tier_that_is_none_is_refused_with_those_that_are() -> None:
    found = wrong(shop="tier: gold")
    assert "tier" in found
    assert all(tier in found for tier in Tier)

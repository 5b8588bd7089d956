"""Of several values each counts, and each as it is spelt: the alerts of one runbook, and a host whose name has capitals."""

from dataclasses import replace

from playbook_runs import SHOP_DOWN
from store_states import alert

from paramedic.catalog.runbook_file import parse
from paramedic.catalog.services import parse_services

SERVICES = """\
services:
  tracking-api:
    targets: [{host: Web-1, supervisord: {program: Tracking, address: "unix:///nowhere/at/all"}}]
"""


def test_a_runbook_wants_each_of_its_alerts_and_means_the_target_as_it_is_spelt() -> None:
    text = SHOP_DOWN.replace("STABLE", "1m").replace("WITHIN", "5m")
    text = text.replace("[{alert: ShopDown}]", "[{alert: ShopDown}, {alert: ShopSlow}]")
    text = text.replace("{supervisord: tracking-api", "{supervisord: Tracking")
    runbook, services = parse(text, "shop-down.md"), parse_services(SERVICES, "services.yaml")
    for name in ("ShopDown", "ShopSlow"):
        about = replace(alert(name), labels={"alertname": name, "instance": "Web-1"})
        assert runbook.wants(about)
        target = runbook.locate(about, services)
        assert target == services.targets["Web-1/Tracking"]
        assert (target.host, target.name) == ("Web-1", "Tracking")
    assert not runbook.wants(alert("ShopOpen"))

"""What is in `deployments/` fits the code: it names settings that there are, and folders that the documentation makes."""

import re

from paramedic.settings import ROOT, Settings

SYSTEMD = ROOT / "deployments" / "systemd"


def unknown(text: str) -> list[str]:
    """The variables of ours in the text that no setting has."""
    known = {f"PARAMEDIC_{name.upper()}" for name in Settings.model_fields}
    return sorted(set(re.findall(r"\bPARAMEDIC_[A-Z0-9_]+", text)) - known)


def test_every_variable_is_one_of_a_setting() -> None:
    assert unknown((SYSTEMD / "paramedic.env").read_text() + (SYSTEMD / "paramedic.service").read_text()) == []
    assert unknown("PARAMEDIC_STORE_URL=x\n#PARAMEDIC_STOER_URL=x") == ["PARAMEDIC_STOER_URL"]


def test_the_page_installs_what_the_unit_needs() -> None:
    page = (ROOT / "docs" / "production.md").read_text()
    unit = (SYSTEMD / "paramedic.service").read_text()
    given = dict(re.findall(r"^(\w+)=-?(.*)$", unit, re.MULTILINE))
    install = "".join(re.findall(r"```sh\n(.*?)```", page, re.DOTALL))
    for name in ("WorkingDirectory", "ReadWritePaths", "EnvironmentFile", "User"):
        assert re.search(rf"{re.escape(given[name])}(?![\w/-])", install), f"{name}={given[name]} is not made"
    assert given["ExecStart"].split()[0] in install
    for file in SYSTEMD.iterdir():
        assert f"deployments/systemd/{file.name}" in page

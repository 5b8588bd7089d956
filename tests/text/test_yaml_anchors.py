"""Anchors and merge keys in what authors write: they are read, and what is wrong behind one is told without a fault of ours."""

import pytest

from paramedic.catalog.services import parse_services
from paramedic.text.yaml_document import BadDocument

MERGED = """\
.one: &one
  supervisord: {program: api, address: "unix:///run/s.sock"}
services:
  api:
    targets:
      - {<<: *one, host: web-1}
      - {<<: *one, host: web-2, health: ftp://web-2}
"""


def test_an_alias_inside_its_own_anchor_is_refused() -> None:
    with pytest.raises(BadDocument, match=r"services\.yaml:1:17: services\.api: is not a mapping of keys"):
        parse_services("services: &all {api: *all}", "services.yaml")


def test_a_short_text_that_aliases_make_long_is_refused() -> None:
    lines = ["a: &a [x, x, x, x, x, x, x, x, x, x]"]
    lines += [
        f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]" for before, name in zip("abcdefg", "bcdefgh", strict=True)
    ]
    with pytest.raises(BadDocument, match="it has more than"):
        parse_services("\n".join(lines), "services.yaml")


def test_what_is_merged_in_is_read_and_a_fault_in_it_is_told_beside_it() -> None:
    with pytest.raises(BadDocument) as refused:
        parse_services(MERGED, "services.yaml")
    told = [(problem.line, problem.what) for problem in refused.value.problems]
    assert [line for line, _ in told] == [1, 7]
    assert ".one" in told[0][1]
    assert "health" in told[1][1]


def test_a_wrong_value_that_is_merged_in_has_a_place() -> None:
    text = 'services:\n  api:\n    targets:\n      - &one {host: "web 1", supervisord: {program: a, address: "unix:///s"}}\n'
    with pytest.raises(BadDocument) as refused:
        parse_services(f"{text}      - {{<<: *one, log: /l}}\n", "services.yaml")
    assert [problem.line for problem in refused.value.problems] == [4, 5]

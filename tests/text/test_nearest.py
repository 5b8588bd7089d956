"""The hint beside a name that nothing has."""

from paramedic.text.nearest import nearest


def test_what_was_meant_is_named_and_else_what_there_is() -> None:
    assert nearest("shpo", ["shop", "till"]) == "did you mean shop?"
    assert nearest("zebra", ["shop", "till"]) == "allowed: shop, till"
    assert nearest("zebra", [], "there are") == ""


def test_of_a_thousand_names_a_hundred_are_listed_and_all_are_looked_through() -> None:
    names = [f"service-{number:04}" for number in range(1000)]
    listed = nearest("zebra", names, "there are")
    assert listed.endswith("service-0098, service-0099 and 900 more")
    assert nearest("servic-0999", names) == "did you mean service-0999?"

"""The hint beside a name that nothing has."""

from paramedic.text.nearest import nearest, several


def test_what_was_meant_is_named_and_else_what_there_is() -> None:
    assert nearest("shpo", ["shop", "till"]) == "did you mean shop?"
    assert nearest("zebra", ["shop", "till"]) == "allowed: shop, till"
    assert nearest("zebra", [], "there are") == ""


def test_of_a_thousand_names_a_hundred_are_listed_and_all_are_looked_through() -> None:
    names = [f"service-{number:04}" for number in range(1000)]
    listed = nearest("zebra", names, "there are")
    assert listed.endswith("service-0098, service-0099 and 900 more")
    assert nearest("servic-0999", names) == "did you mean service-0999?"


def test_of_many_names_a_message_has_the_first_and_how_many_more() -> None:
    assert several(["b", "a", "b"]) == "b, a"
    assert several((f"h-{number}" for number in range(10_000)), most=2) == "h-0, h-1 and 9998 more"

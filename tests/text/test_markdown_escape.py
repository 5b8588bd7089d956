"""Text inside Markdown is text, whatever it is: on a line, as code to copy, as a block."""

from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from paramedic.text.markdown_escape import code, fenced, first_words
from paramedic.text.sanitize import one_line, visible

READER = MarkdownIt("gfm-like", {"html": True, "linkify": False})

hostile = st.text(max_size=40) | st.lists(st.sampled_from([*"`~ \n\r\t\\*_<>[]()#-+=1.!|a\u2028"]), max_size=40).map(
    "".join
)


@given(hostile)
def test_a_command_is_one_span_of_code_that_can_be_copied(text: str) -> None:
    [opens, inline, closes] = READER.parse(f"- take it: {code(text)}")[2:5]
    assert (opens.type, closes.type) == ("paragraph_open", "paragraph_close")
    [before, span] = inline.children or []
    assert (before.content, span.type) == ("take it: ", "code_inline")
    assert span.content == (one_line(text) or "(nothing)")


@given(hostile)
def test_a_block_after_a_list_is_one_block_with_every_character(text: str) -> None:
    tokens = READER.parse(f"- a list\n\n{fenced(text)}\n\n# the end")
    [block] = [token for token in tokens if token.type == "fence"]
    assert block.content == f"{visible(text)}\n"
    assert block.level == 0
    assert tokens[-3].type == "heading_open"


@given(hostile)
def test_a_line_is_a_paragraph_of_text(text: str) -> None:
    tokens = READER.parse(first_words(text, without=str))
    assert [token.type for token in tokens] == ["paragraph_open", "inline", "paragraph_close"]
    assert {child.type for child in tokens[1].children or []} <= {"text", "text_special"}

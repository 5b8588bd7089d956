"""A program and its arguments, as authors write them: a list of words, and never a line for a shell."""

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

_WRITTEN = Annotated[list[Annotated[str, Field(pattern=r"^[^\x00]*$")]], Field(min_length=1)]


def _arguments(words: Any) -> list[str]:
    if (
        not isinstance(words, list)
        or not words
        or not all(isinstance(word, str) and "\0" not in word for word in words)
    ):
        raise ValueError(
            "write a list of words, [program, argument, …]: there is no shell, and every word is quoted text"
        )
    if not re.fullmatch(r"/.+|[^/]+", words[0], re.DOTALL):
        raise ValueError(f"the program {words[0]!r:.80} is neither an absolute path nor a plain name on PATH")
    return words


#: The type of a field of it.
Arguments = Annotated[list[str], BeforeValidator(_arguments, json_schema_input_type=_WRITTEN)]

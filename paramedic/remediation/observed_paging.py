"""Who is paged about an incident that is only observed."""

from enum import StrEnum


class Paging(StrEnum):
    """Who is paged about an incident that is only observed. A person always is, unless it recovers by itself."""

    FIRST = "first"  # whoever the first step of the policy names, at once; nobody after them
    LATE = "late"  # the same, once it is still failing after the time that a remedy would have had
    ALL = "all"  # the whole policy, as for any incident that a person must take

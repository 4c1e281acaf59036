"""As much PromQL as the tests need: which series and label values an expression names."""

import re
from collections.abc import Iterator

_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_MATCHER = re.compile(r'(\w+)\s*(=~|!=|!~|=)\s*"((?:[^"\\]|\\.)*)"')
_LABEL_LIST = re.compile(r"\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)")
_OPERATORS = frozenset({"and", "or", "unless", "bool", "offset"})


def series_in(expression: str) -> frozenset[str]:
    """Return the names of the series that *expression* reads."""
    bare = _STRING.sub("", expression)
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]", "", bare)
    bare = _LABEL_LIST.sub("", bare)
    # A name before "(" is a function or an aggregation.
    return frozenset(re.findall(r"\b[A-Za-z_]\w*\b(?!\s*\()", bare)) - _OPERATORS


def label_values_in(expression: str) -> Iterator[tuple[str, str]]:
    """Yield (label, value) of every matcher; a regular expression of alternatives in parts."""
    for label, operator, value in _MATCHER.findall(expression):
        yield from ((label, part) for part in (value.split("|") if "~" in operator else [value]))

"""Organs at risk: what they are called, and what is known of each."""

from recontour.organs.names import (
    NameRow,
    NameTable,
    Status,
    is_tg263,
    is_vocabulary,
    match_drawn,
    match_names,
    ordered,
    read_user_map,
    sides_swapped,
)
from recontour.organs.tolerances import tolerance_mm

__all__ = [
    "NameRow",
    "NameTable",
    "Status",
    "is_tg263",
    "is_vocabulary",
    "match_drawn",
    "match_names",
    "ordered",
    "read_user_map",
    "sides_swapped",
    "tolerance_mm",
]

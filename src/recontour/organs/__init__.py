"""Know the organs at risk: their names, and what is known of each.

table        `organ_of(name)`: everything that is known of one organ, from table.toml
vocabulary   the words that ROI names are made of
names        a centre's ROI names -> TG-263 names
user_map     a centre's own map of names
draft        such a map to fill in, with guesses
template     how structure sets are written: the map read backwards, colours, labels
tolerances   a user's own tolerances of the surface DSC
sides        organs on the other side than their names say
findings     what becomes of a name, and why

Nothing here reads DICOM or needs a network.
"""

from recontour.organs.draft import drafted_map
from recontour.organs.names import (
    NamedStructure,
    NameRow,
    NameTable,
    Status,
    match_drawn,
    match_names,
    ordered,
)
from recontour.organs.sides import misplaced_organs
from recontour.organs.table import (
    Organ,
    OrganName,
    default_organ,
    is_tg263,
    known_organs,
    listed_organs,
    organ_of,
)
from recontour.organs.template import Template, read_template
from recontour.organs.tolerances import read_tolerances, read_tolerances_file
from recontour.organs.user_map import notes_on_map, read_user_map
from recontour.organs.vocabulary import is_vocabulary, key_of, names_canal, organs_meant

__all__ = [
    "NameRow",
    "NameTable",
    "NamedStructure",
    "Organ",
    "OrganName",
    "Status",
    "Template",
    "default_organ",
    "drafted_map",
    "is_tg263",
    "is_vocabulary",
    "key_of",
    "known_organs",
    "listed_organs",
    "match_drawn",
    "match_names",
    "misplaced_organs",
    "names_canal",
    "notes_on_map",
    "ordered",
    "organ_of",
    "organs_meant",
    "read_template",
    "read_tolerances",
    "read_tolerances_file",
    "read_user_map",
]

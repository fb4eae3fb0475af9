"""Score models on a cohort's own contours, and say what the scores do not show.

scoring     contour a case, score the masks, cut out what the report shows
caveats     warnings for a reader of scores: draft contours, patients trained on
other_sides whether a model's left is a case's right
looks       a closer look at a contour: mm by direction, and whether it is usual
acceptance  what a physicist signs of a candidate; acceptance_page: as a page
case_offsets what patients measure beside a model: contours' offsets, images, headers
protocol_page what differs between two centres, as a page
pictures    the planes that a report may show, kept small
cohort_page every case of a cohort with its contours, on one page; own_page: which it may replace
findings    the facts behind the warnings
"""

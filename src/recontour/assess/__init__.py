"""Score models on a cohort's own contours, and say what the scores do not show.

scoring     contour a case, score the masks, cut out what the report shows
caveats     warnings that a reader of scores must see: draft contours, patients trained on
findings    the facts behind these warnings
"""

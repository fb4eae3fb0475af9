"""Correct and approve a draft: strokes on its contours, kept on the server one by one.

planes      the contours of one slice as rings, and as an area
operations  what a stroke does to an organ's contours
prepared    what the page shows of a draft: voxels and contours
working     a draft's contours with its edits, undo and redo
locks       who edits a draft
changes     what was changed, in mm
approve     the structure set that a person approved
returned    what people corrected in another program
findings    what can be found here
"""

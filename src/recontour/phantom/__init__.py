"""The embedded default data: two centres' head-and-neck patients, written as real DICOM.

It is a phantom. Heads are built from implicit shapes, not scanned from people: bones, soft tissue,
scanners and protocols differ between patients and centres the way real ones do, but only as far as
they were thought of here. What a network scores on it says that the software works, and nothing of
how it will do on patients.
"""

from recontour.phantom.centre import SOURCE, TARGET, Centre, PhantomCase, make_case, write_centre

__all__ = ["SOURCE", "TARGET", "Centre", "PhantomCase", "make_case", "write_centre"]

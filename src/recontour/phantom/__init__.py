"""Make the embedded data: two centres' head-and-neck patients, written as real DICOM.

centre      the two centres, and their patients as DICOM
patient     how one patient differs from the common head
anatomy     its tissues in HU             organs      its organs as implicit shapes
scanner     what a scanner adds           protocols   how a centre's physicians contour
shapes      implicit shapes

It is a phantom. Heads are built from implicit shapes, not scanned from people. Bones, soft tissue,
scanners and protocols differ between patients and centres as real ones do, but only in the ways
that are modelled here. A network's scores on it show that the software works; they say nothing
about real patients.
"""

from recontour.phantom.centre import SOURCE, TARGET, Centre, PhantomCase, make_case, write_centre

__all__ = ["SOURCE", "TARGET", "Centre", "PhantomCase", "make_case", "write_centre"]

#!/usr/bin/env python3
"""Convert contours to masks and back with other tools, for contour_fidelity.py.

    python foreign_contours.py TOOL read CT_DIR RTSTRUCT OUT.npz
    python foreign_contours.py TOOL roundtrip CT_DIR MASKS.npz OUT.npz

`read` writes the tool's masks of an RTSTRUCT; `roundtrip` lets the tool write masks as an RTSTRUCT
and read them again. Masks are (slice, row, column), slices from the feet up. This script runs in an
environment of its own, without recontour.

Prints one line of JSON: the processor seconds of writing and reading, without those of loading the
CT where the tool allows it.
"""

import json
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]
Points = npt.NDArray[np.float64]
Masks = dict[str, Mask]
Seconds = dict[str, float]


def clock() -> float:
    """Return the processor seconds of this process and its finished children.

    On a busy machine, the wall clock also counts other work.
    """
    own = resource.getrusage(resource.RUSAGE_SELF)
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def rt_utils(ct: Path, source: Path, masks: Masks | None) -> tuple[Masks, Seconds]:
    import pydicom
    from rt_utils import RTStructBuilder
    from rt_utils.rtstruct import RTStruct

    series = RTStructBuilder.create_new(str(ct))
    seconds = {}
    if masks is not None:
        turned = {name: np.moveaxis(mask, 0, 2) for name, mask in masks.items()}
        began = clock()
        for name, mask in turned.items():
            series.add_roi(mask=mask, name=name)
        series.save(str(source))
        seconds["write"] = clock() - began
    began = clock()
    read = RTStruct(series.series_data, pydicom.dcmread(source))
    found = {name: read.get_roi_mask_by_name(name) for name in read.get_roi_names()}
    seconds["read"] = clock() - began
    return {name: np.moveaxis(mask, 2, 0) for name, mask in found.items()}, seconds


def platipy(ct: Path, source: Path, masks: Masks | None) -> tuple[Masks, Seconds]:
    import SimpleITK as sitk  # noqa: N813
    from platipy.dicom.io.nifti_to_rtstruct import convert_nifti
    from platipy.dicom.io.rtstruct_to_nifti import (
        read_dicom_image,
        read_dicom_struct_file,
        transform_point_set_from_dicom_struct,
    )

    seconds = {}
    image = read_dicom_image(str(ct))
    if masks is not None:
        images = {}
        for name, mask in masks.items():
            images[name] = sitk.GetImageFromArray(mask.astype(np.uint8))
            images[name].CopyInformation(image)
        began = clock()
        convert_nifti(str(ct), images, str(source))
        seconds["write"] = clock() - began
    began = clock()
    found, names = transform_point_set_from_dicom_struct(image, read_dicom_struct_file(str(source)))
    seconds["read"] = clock() - began
    arrays = [sitk.GetArrayFromImage(one).astype(bool) for one in found]
    return dict(zip(names, arrays, strict=True)), seconds


def dicomrttool(ct: Path, source: Path, masks: Masks | None) -> tuple[Masks, Seconds]:
    from DicomRTTool.ReaderWriter import DicomReaderWriter

    seconds = {}
    if masks is not None:
        reader = DicomReaderWriter(verbose=False)
        reader.walk_through_folders(str(ct))
        reader.set_index(0)
        reader.get_images()
        background = ~np.any(list(masks.values()), axis=0)
        stacked = np.stack([background, *masks.values()], axis=-1).astype(np.float32)
        began = clock()
        reader.prediction_array_to_RT(stacked, str(source.parent / "drt"), list(masks))
        seconds["write"] = clock() - began
        next((source.parent / "drt").glob("*.dcm")).rename(source)
    folder = source.parent / "both"
    folder.mkdir()
    for file in [*ct.iterdir(), source]:
        (folder / file.name).symlink_to(file.resolve())
    reader = DicomReaderWriter(verbose=False, arg_max=False)
    reader.walk_through_folders(str(folder))
    names = reader.return_rois(print_rois=False)
    found = {}
    reader.set_index(0)
    reader.get_images()
    began = clock()
    for name in names:
        reader.set_contour_names_and_associations([name])
        reader.get_mask()
        found[name] = np.asarray(reader.mask)[..., 1] > 0  # 0 is the background
    seconds["read"] = clock() - began
    return found, seconds


def plastimatch(ct: Path, source: Path, masks: Masks | None) -> tuple[Masks, Seconds]:
    """Its seconds are those of the whole command, which also loads the CT."""
    import SimpleITK as sitk  # noqa: N813

    seconds = {}
    work = source.parent
    if masks is not None:
        image = sitk.ReadImage(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(ct)))
        (work / "masks").mkdir()
        for name, mask in masks.items():
            one = sitk.GetImageFromArray(mask.astype(np.uint8))
            one.CopyInformation(image)
            sitk.WriteImage(one, str(work / "masks" / f"{name}.mha"))
        given = ("--input-prefix", work / "masks", "--referenced-ct", ct)
        seconds["write"] = _command("convert", *given, "--output-dicom", work / "out")
        next((work / "out").glob("*rtss*")).rename(source)
    wanted = ("--output-prefix", work / "back", "--prefix-format", "mha")
    seconds["read"] = _command("convert", "--input", source, "--referenced-ct", ct, *wanted)
    found = {}
    for file in sorted((work / "back").glob("*.mha")):
        found[file.stem] = sitk.GetArrayFromImage(sitk.ReadImage(str(file))).astype(bool)
    return found, seconds


def _command(*arguments: object) -> float:
    """Run plastimatch; return its processor seconds."""
    began = clock()
    subprocess.run(["plastimatch", *map(str, arguments)], check=True, stdout=subprocess.DEVNULL)
    return clock() - began


Outline = Callable[[Mask], list[Points]]
Fill = Callable[[Points, tuple[int, int]], Mask]
Tool = Callable[[Path, Path, Masks | None], tuple[Masks, Seconds]]
Rings = list[tuple[float, Points]]  # a slice's z, and a ring in mm


def hand_made(outline: Outline, fill: Fill) -> Tool:
    """Return a tool as people write it themselves.

    It writes one contour per ring, in mm with two decimals, and fills ring by ring, even-odd.
    """

    def run(ct: Path, source: Path, masks: Masks | None) -> tuple[Masks, Seconds]:
        plane = Plane(ct)
        seconds = {}
        if masks is not None:
            began = clock()
            drawn = {name: _outlined(mask, plane, outline) for name, mask in masks.items()}
            seconds["write"] = clock() - began
        else:
            drawn = _rings_of(source)
        began = clock()
        found = {name: _filled(rings, plane, fill) for name, rings in drawn.items()}
        seconds["read"] = clock() - began
        return found, seconds

    return run


class Plane:
    """Where a CT's voxels lie: x, y in mm, and each slice's z."""

    def __init__(self, ct: Path) -> None:
        import pydicom

        images = [pydicom.dcmread(file) for file in ct.iterdir()]
        images.sort(key=lambda image: float(image.ImagePositionPatient[2]))
        first = images[0]
        self.shape = (len(images), first.Rows, first.Columns)
        self.origin = np.array(first.ImagePositionPatient[:2], dtype=float)
        self.step = np.array(first.PixelSpacing[::-1], dtype=float)
        self.z_mm = np.array([float(image.ImagePositionPatient[2]) for image in images])


def _outlined(mask: Mask, plane: Plane, outline: Outline) -> Rings:
    rings = []
    for z, pixels in zip(plane.z_mm, mask, strict=True):
        for ring in outline(pixels):
            if len(ring) >= 3:
                rings.append((z, np.round(ring * plane.step + plane.origin, 2)))
    return rings


def _rings_of(rtstruct: Path) -> dict[str, Rings]:
    """Return an RTSTRUCT's contours by ROI name."""
    import pydicom

    dataset = pydicom.dcmread(rtstruct)
    names = {roi.ROINumber: roi.ROIName for roi in dataset.StructureSetROISequence}
    drawn = {}
    for roi in dataset.ROIContourSequence:
        rings = []
        for item in roi.ContourSequence:
            points = np.array(item.ContourData, dtype=float).reshape(-1, 3)
            rings.append((points[0, 2], points[:, :2]))
        drawn[names[roi.ReferencedROINumber]] = rings
    return drawn


def _filled(rings: Rings, plane: Plane, fill: Fill) -> Mask:
    mask = np.zeros(plane.shape, dtype=bool)
    for z, ring in rings:
        nearest = np.abs(plane.z_mm - z).argmin()
        mask[nearest] ^= fill((ring - plane.origin) / plane.step, plane.shape[1:])
    return mask


def skimage_outline(plane: Mask) -> list[Points]:
    from skimage.measure import find_contours

    return [ring[:-1, ::-1] - 1 for ring in find_contours(np.pad(plane, 1).astype(float), 0.5)]


def skimage_fill(ring: Points, shape: tuple[int, int]) -> Mask:
    from skimage.draw import polygon2mask

    return polygon2mask(shape, ring[:, ::-1])


def opencv_outline(plane: Mask) -> list[Points]:
    import cv2

    rings, _ = cv2.findContours(plane.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    return [ring[:, 0].astype(float) for ring in rings]


def opencv_fill(ring: Points, shape: tuple[int, int]) -> Mask:
    import cv2

    plane = np.zeros(shape, dtype=np.uint8)
    return cv2.fillPoly(plane, [np.round(ring).astype(np.int32)], 1).astype(bool)


TOOLS: dict[str, Tool] = {
    "rt-utils": rt_utils,
    "platipy": platipy,
    "DicomRTTool": dicomrttool,
    "plastimatch": plastimatch,
    "scikit-image": hand_made(skimage_outline, skimage_fill),
    "OpenCV": hand_made(opencv_outline, opencv_fill),
}


def main() -> None:
    tool, what, ct, given, out = sys.argv[1:]
    with tempfile.TemporaryDirectory() as scratch:
        source = Path(scratch) / "rs.dcm"
        masks = None
        if what == "roundtrip":
            with np.load(given) as file:
                masks = {name: file[name] for name in file.files}
        else:
            source.symlink_to(Path(given).resolve())
        found, seconds = TOOLS[tool](Path(ct), source, masks)
    np.savez_compressed(out, **found)  # type: ignore[arg-type]
    print(json.dumps(seconds))


if __name__ == "__main__":
    main()

"""Which library decodes which compressed pixels.

It is one for each transfer syntax, so that other installed libraries change nothing.
"""

from typing import Any

import imagecodecs
import numpy as np
from pydicom import uid
from pydicom.pixels.decoders.base import DecodeRunner, get_decoder

JPEG = (uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit, uid.JPEGLossless, uid.JPEGLosslessSV1)
JPEG_LS = (uid.JPEGLSLossless, uid.JPEGLSNearLossless)
JPEG_2000 = (
    uid.JPEG2000Lossless,
    uid.JPEG2000,
    uid.HTJ2KLossless,
    uid.HTJ2KLosslessRPCL,
    uid.HTJ2K,
)
END_OF_STREAM = b"\xff\xd9"  # the marker that ends a JPEG and a JPEG-LS stream
# pydicom asks for a variable of this name.
DECODER_DEPENDENCIES = dict.fromkeys((*JPEG, *JPEG_LS), ("imagecodecs",))
PLUGINS = {
    uid.RLELossless: "pydicom",  # pylibjpeg-rle, if installed, panics on damaged pixels
    **dict.fromkeys((*JPEG, *JPEG_LS), "imagecodecs"),
    **dict.fromkeys(JPEG_2000, "pylibjpeg"),
}


def is_available(_syntax: str) -> bool:
    """Tell pydicom, which asks every decoder, that the libraries are there."""
    return True


def decode_frame(stream: bytes, runner: DecodeRunner) -> bytes:
    """Decode one image in JPEG or JPEG-LS for pydicom.

    Returns: its pixels in little-endian rows, the colours of a pixel together; runner learns how
    many bits each has.
    Raises: ValueError: it is cut off, or not an image of the size that the file says.
    """
    if END_OF_STREAM not in stream[-8:]:  # a few bytes may follow it
        # The libraries would fill up a JPEG, and search a JPEG-LS without end.
        raise ValueError("the stream is cut off")
    is_jpeg_ls = runner.transfer_syntax in JPEG_LS
    decode = imagecodecs.jpegls_decode if is_jpeg_ls else imagecodecs.jpeg_decode
    pixels: np.ndarray[Any, Any] = np.asarray(decode(stream))
    if pixels.shape[:2] != (runner.rows, runner.columns):
        raise ValueError(f"a stream of shape {pixels.shape}")
    runner.set_option("planar_configuration", 0)
    runner.set_option("bits_allocated", 8 * pixels.dtype.itemsize)
    return pixels.astype(pixels.dtype.newbyteorder("<")).tobytes()


for _syntax in (*JPEG, *JPEG_LS):
    get_decoder(_syntax).add_plugin("imagecodecs", (__name__, "decode_frame"))

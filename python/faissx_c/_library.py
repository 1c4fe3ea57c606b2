# SPDX-License-Identifier: Apache-2.0
"""Finds libfaissx_c and opens it.

The library decides by itself whether calls go to a server (FAISSX_SERVER) or to the local
libfaiss_c.
"""
import ctypes
import os

NAME = "libfaissx_c.so.0"


def _places():
    """Where the library may be, relative to this package: in the package (a wheel), in the folder
    of libraries (an installation, a build)."""
    here = os.path.dirname(os.path.realpath(__file__))
    yield os.path.join(here, NAME)
    up = here
    for _ in range(3):
        up = os.path.dirname(up)
        yield os.path.join(up, NAME)


def find():
    """Returns the path of libfaissx_c, or its name for the loader to find."""
    given = os.environ.get("FAISSX_LIBRARY")
    if given:
        return given
    for path in _places():
        if os.path.exists(path):
            return path
    return NAME


def load():
    """Returns the library.  If one is in the process already (`faissx run` preloads it), that one
    is used: two copies would have a session each."""
    process = ctypes.CDLL(None)
    if not os.environ.get("FAISSX_LIBRARY") and hasattr(process, "faissx_configure"):
        return process
    path = find()
    try:
        return ctypes.CDLL(path)
    except OSError as e:
        raise ImportError(
            f"cannot load {path}: {e}; set FAISSX_LIBRARY to the path of {NAME}"
        ) from None

# SPDX-License-Identifier: Apache-2.0
"""`import faiss` for a program whose path has this folder: the package faissx_c under that name."""
import os
import sys

try:
    import faissx_c
except ImportError as e:
    if e.name != "faissx_c":
        raise
    # The package is beside this folder, and need not be on the path.
    sys.path.append(os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(
        os.path.abspath(__file__))))))
    import faissx_c

sys.modules["faiss"] = faissx_c

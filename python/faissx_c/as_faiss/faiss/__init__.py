# SPDX-License-Identifier: Apache-2.0
"""`import faiss` for a program whose path has this folder: the package faissx_c under that name."""
import os
import sys

# The package that this folder is in, though another one may be installed.
_root = os.path.abspath(__file__)
for _ in range(4):
    _root = os.path.dirname(_root)
sys.path.insert(0, _root)
try:
    import faissx_c
finally:
    sys.path.remove(_root)

sys.modules["faiss"] = faissx_c

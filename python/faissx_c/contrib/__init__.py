# SPDX-License-Identifier: Apache-2.0
"""faiss.contrib is Python code of FAISS itself, on top of its module.  If a FAISS for Python is
installed, its contrib is used, and works with this package."""
import os
import sys


def _folders():
    here = os.path.dirname(os.path.abspath(__file__))
    for entry in sys.path:
        folder = os.path.join(entry or ".", "faiss", "contrib")
        if os.path.exists(os.path.join(folder, "__init__.py")) and os.path.abspath(folder) != here:
            yield folder


__path__ = list(_folders())[:1]
if not __path__:
    raise ModuleNotFoundError("faiss.contrib is part of FAISS's own Python package, which is not "
                              "installed", name="faiss.contrib")

# SPDX-License-Identifier: Apache-2.0
"""Names of FAISS's module that this one lacks."""


class Missing(NotImplementedError, AttributeError):
    """FAISS's module has this, FAISS's C API does not."""


def _names():
    import os
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "names.txt")
    with open(path, encoding="ascii") as f:
        return {line.strip() for line in f if line[0] != "#"}


def error(name):
    """The exception for a name that this package has not."""
    if name[:1] != "_" and name in _names():
        return Missing(f"faiss.{name}: FAISS's C API, on which this module is built, has no way to "
                       "do this")
    return AttributeError(f"module 'faiss' has no attribute '{name}'")

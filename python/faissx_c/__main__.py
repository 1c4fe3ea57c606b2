# SPDX-License-Identifier: Apache-2.0
"""python -m faissx_c PROGRAM [ARGUMENT]...: runs a Python program to which `import faiss` means
this package.  As `faissx run` does, for those who have only the wheel."""
import os
import runpy
import sys


def main():
    if len(sys.argv) < 2:
        print("usage: python -m faissx_c PROGRAM [ARGUMENT]...", file=sys.stderr)
        return 2
    folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), "as_faiss")
    # For this program, and for Python programs that it starts.
    old = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [folder, old]))
    program = sys.argv[1]
    sys.argv = sys.argv[1:]
    sys.path[0] = os.path.dirname(os.path.abspath(program))
    sys.path.insert(0, folder)
    runpy.run_path(program, run_name="__main__")
    return 0


sys.exit(main())

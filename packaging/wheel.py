# SPDX-License-Identifier: Apache-2.0
"""Makes a wheel: wheel.py VERSION PACKAGE LIBRARY OUT.

PACKAGE is the folder faissx_c, complete; LIBRARY a libfaissx_c that looks for its own libraries
beside it.  They go along with it, except the C library's.  Needs nothing but Python and ldd.
"""
import base64
import hashlib
import os
import platform
import re
import subprocess
import sys
import zipfile

version, package, library, out = sys.argv[1:]
tag = f"py3-none-linux_{platform.machine()}"
info = f"faissx_c-{version}.dist-info"
SYSTEM = re.compile(r"(libc|libdl|libm|libpthread|librt|ld-linux.*)\.so")


def with_its_libraries(path):
    """Yields a library, and those that it needs and that not every system has."""
    yield path
    told = subprocess.run(["ldd", path], check=True, capture_output=True, text=True).stdout
    missing = re.findall(r"(\S+) => not found", told)
    if missing:
        sys.exit(f"{path}: these libraries are not found, and the wheel needs them: "
                 f"{', '.join(missing)}")
    for needed in re.findall(r"=> (\S+) \(", told):
        if not SYSTEM.match(os.path.basename(needed)):
            yield needed


files = {}
for folder, _, names in os.walk(package):
    for name in names:
        if not name.endswith(".pyc"):
            path = os.path.join(folder, name)
            inside = os.path.relpath(path, os.path.dirname(os.path.abspath(package)))
            files[inside] = open(path, "rb").read()
for path in with_its_libraries(library):
    files["faissx_c/" + os.path.basename(path)] = open(path, "rb").read()
files[f"{info}/METADATA"] = f"""Metadata-Version: 2.1
Name: faissx-c
Version: {version}
Summary: FAISS for Python programs whose indexes are on a FAISSx server
License: Apache-2.0
Requires-Python: >=3.8
Requires-Dist: numpy
""".encode()
files[f"{info}/WHEEL"] = f"""Wheel-Version: 1.0
Generator: faissx
Root-Is-Purelib: false
Tag: {tag}
""".encode()
files[f"{info}/LICENSE"] = open("LICENSE", "rb").read()

record = []
for name, data in files.items():
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    record.append(f"{name},sha256={digest},{len(data)}")
record.append(f"{info}/RECORD,,")
files[f"{info}/RECORD"] = ("\n".join(record) + "\n").encode()

os.makedirs(out, exist_ok=True)
wheel = os.path.join(out, f"faissx_c-{version}-{tag}.whl")
with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as z:
    for name, data in files.items():
        # The same files give the same wheel.
        entry = zipfile.ZipInfo(name)
        entry.external_attr = (0o100755 if ".so" in name else 0o100644) << 16
        entry.compress_type = zipfile.ZIP_DEFLATED
        z.writestr(entry, data)
print(wheel)

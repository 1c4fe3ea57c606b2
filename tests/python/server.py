# SPDX-License-Identifier: Apache-2.0
"""What the server that a test runs on says of itself.  RAW is the program that sends messages."""
import gc
import os
import subprocess
import types

ADDRESS = os.environ.get("FAISSX_SERVER")


def stats():
    """The text of the reply to `stats`, or "" for a test in process."""
    if not ADDRESS:
        return ""
    # Neither is the library to be preloaded there.
    env = {k: v for k, v in os.environ.items() if k not in ("LD_PRELOAD", "FAISSX_SERVER")}
    return subprocess.run([os.environ["RAW"], ADDRESS, '{"operation":"stats"}'], env=env,
                          check=True, capture_output=True, text=True).stdout


def stat(name):
    """A number of it; 0 if it has none of this name."""
    _, found, rest = stats().partition(f'"{name}":')
    return int(rest.partition(",")[0].rstrip("}\n ")) if found else 0


def assert_nothing_left(names):
    """Deletes the variables of a program, and fails if an object is left on the server.  This is to
    be asked while the program lives: its objects end with its session."""
    for name, value in list(names.items()):
        if name[:2] != "__" and not isinstance(value, types.ModuleType):
            del names[name]
    del name, value
    gc.collect()
    left = stat("objects")
    assert left == 0, f"{left} objects are left on the server"

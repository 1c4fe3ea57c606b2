# SPDX-License-Identifier: Apache-2.0
"""What the server that a test runs on says of itself.  RAW is the program that sends messages."""
import os
import subprocess

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

# SPDX-License-Identifier: Apache-2.0
"""Runs the tests of one file: one.py FILE SECONDS [TEST]...

Prints a line of JSON before and after each test, so that what is known is not lost if the process
ends.  With names of tests, runs these only.  A file that is no test (a tutorial) is one test.
"""
import importlib.util
import json
import os
import signal
import sys
import unittest


def say(**what):
    out.write(json.dumps(what) + "\n")
    out.flush()


class Overdue(Exception):
    pass


def overdue(*_):
    raise Overdue("the test takes too long")


class Result(unittest.TestResult):
    seconds = 60

    def startTest(self, test):
        super().startTest(test)
        say(start=test.id())
        self.worst = ("ok", "")
        signal.alarm(self.seconds)

    def note(self, result, reason=""):
        if self.worst[0] == "ok":
            self.worst = (result, reason)

    def _text(self, err):
        text = str(err[1]).strip().splitlines()
        return f"{err[0].__name__}: {text[0] if text else ''}"[:300]

    def addError(self, test, err):
        self.note("error", self._text(err))

    def addFailure(self, test, err):
        self.note("fail", self._text(err))

    def addSubTest(self, test, subtest, err):
        if err is not None:
            self.note("fail", self._text(err))

    def addSkip(self, test, reason):
        self.note("skip", reason)

    def stopTest(self, test):
        signal.alarm(0)
        super().stopTest(test)
        say(test=test.id(), result=self.worst[0], reason=self.worst[1])


def tests(suite):
    for t in suite:
        if isinstance(t, unittest.TestSuite):
            yield from tests(t)
        else:
            yield t


def main(path, seconds, wanted):
    name = os.path.splitext(os.path.basename(path))[0]
    sys.path.insert(0, os.path.dirname(os.path.abspath(path)))
    signal.signal(signal.SIGALRM, overdue)
    if not name.isidentifier() or "tutorial" in path:
        say(all=[name], start=name)
        import runpy
        runpy.run_path(path, run_name="__main__")
        say(test=name, result="ok", reason="")
        return
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as e:
        text = str(e).strip().splitlines()
        say(broken=f"{type(e).__name__}: {text[0] if text else ''}"[:300])
        return
    found = list(tests(unittest.defaultTestLoader.loadTestsFromModule(module)))
    say(all=[t.id() for t in found])
    result = Result()
    result.seconds = seconds
    unittest.TestSuite([t for t in found if not wanted or t.id() in wanted]).run(result)


# What the tests print does not get between the lines.
out = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
main(sys.argv[1], int(sys.argv[2]), set(sys.argv[3:]))

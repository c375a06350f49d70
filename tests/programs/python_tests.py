# SPDX-License-Identifier: Apache-2.0
#
# Runs modules of Python's own tests in the working directory; prints what became of each test.

import contextlib
import sys
import time
import unittest


class Result(unittest.TestResult):
    def __init__(self):
        super().__init__()
        self.outcomes = {}

    def startTest(self, test):
        super().startTest(test)
        self.started = time.monotonic()

    def stopTest(self, test):
        super().stopTest(test)
        took = time.monotonic() - self.started
        if took > 2:
            print(f'{test.id()} took {took:.1f} s', file=sys.stderr)

    def note(self, test, outcome, detail=None):
        self.outcomes[test.id()] = outcome
        if detail:
            print(test.id(), self._exc_info_to_string(detail, test), file=sys.stderr)

    def addSuccess(self, test):
        self.outcomes.setdefault(test.id(), 'ok')

    def addError(self, test, err):
        self.note(test, 'error', err)

    def addFailure(self, test, err):
        self.note(test, 'failure', err)

    def addSubTest(self, test, subtest, err):
        if err is not None:
            self.note(test, 'failure', err)

    def addSkip(self, test, reason):
        self.outcomes[test.id()] = 'skipped'

    def addExpectedFailure(self, test, err):
        self.outcomes[test.id()] = 'ok'

    def addUnexpectedSuccess(self, test):
        self.outcomes[test.id()] = 'failure'


result = Result()
with contextlib.redirect_stdout(sys.stderr):
    names = ['test.' + name for name in sys.argv[1:]]
    unittest.defaultTestLoader.loadTestsFromNames(names).run(result)
for test, outcome in sorted(result.outcomes.items()):
    print(outcome, test)

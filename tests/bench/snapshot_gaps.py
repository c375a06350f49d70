# SPDX-License-Identifier: Apache-2.0
"""Watches how long a processor runs nothing: this program goes before all others, and wakes up every 2 ms. What it
is late by, the host has run something else, or the kernel could not be interrupted. Answers each line with those
times since the last one as JSON, [[from, to], ...] in ns of the monotonic clock.

usage: snapshot_gaps.py PROCESSOR
"""

import json
import os
import select
import sys
import time

INTERVAL_NS = 2_000_000
GAP_NS = 3_000_000
PRIORITY = 50


def main(processor):
    os.sched_setaffinity(0, [processor])
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(PRIORITY))
    gaps = []
    before = time.monotonic_ns()
    while True:
        asked, _, _ = select.select([sys.stdin], [], [], INTERVAL_NS / 1e9)
        now = time.monotonic_ns()
        if now - before - INTERVAL_NS > GAP_NS:
            gaps.append([before, now])
        if asked:
            if not sys.stdin.readline():
                return
            print(json.dumps(gaps), flush=True)
            gaps = []
            now = time.monotonic_ns()
        before = now


if __name__ == "__main__":
    main(int(sys.argv[1]))

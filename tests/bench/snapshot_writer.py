# SPDX-License-Identifier: Apache-2.0
"""A program in a sandbox that measures how long each of its writes takes. Answers each line with one:

    dirty BYTES   writes so many new bytes to a file of their own, and says `done`
    begin         starts to write 4 KiB at random places of another file, over and over, and says `done`
    end           stops, and says as JSON how long writes took

usage: python3 snapshot_writer.py DIR
"""

import itertools
import json
import os
import random
import statistics
import sys
import threading
import time

WRITE_BYTES = 4096
FILE_BYTES = 64 << 20
PIECE_BYTES = 1 << 20
STALL_NS = 5_000_000


class Writer:
    def __init__(self, directory):
        self.directory = directory
        self.file = os.open(os.path.join(directory, "written"), os.O_RDWR | os.O_CREAT, 0o644)
        self.places = [random.randrange(FILE_BYTES // WRITE_BYTES) * WRITE_BYTES for _ in range(1 << 16)]
        self.data = os.urandom(WRITE_BYTES)
        for place in range(0, FILE_BYTES, PIECE_BYTES):
            os.pwrite(self.file, os.urandom(PIECE_BYTES), place)
        self.thread = None
        self.enough = False
        self.began = 0
        self.took = []

    def dirty(self, size):
        with open(os.path.join(self.directory, "dirty"), "r+b" if self.has_dirty() else "wb") as out:
            for _ in range(size // PIECE_BYTES):
                out.write(os.urandom(PIECE_BYTES))

    def has_dirty(self):
        return os.path.exists(os.path.join(self.directory, "dirty"))

    def begin(self):
        self.enough, self.took = False, []
        self.thread = threading.Thread(target=self._write)
        self.thread.start()

    def _write(self):
        clock, pwrite, places, count = time.monotonic_ns, os.pwrite, self.places, 0
        self.began = before = clock()
        while not self.enough:
            pwrite(self.file, self.data, places[count & 0xffff])
            count += 1
            after = clock()
            self.took.append(after - before)
            before = after

    def end(self):
        self.enough = True
        self.thread.join()
        took = sorted(self.took)
        ends = itertools.accumulate(self.took, initial=self.began)
        next(ends)
        return {"writes": len(took), "wall_ns": sum(took), "median_ns": statistics.median(took),
                "p99_ns": took[len(took) * 99 // 100], "longest_ns": took[-1],
                "stalls": [{"at_ns": end - time, "ns": time} for end, time in zip(ends, self.took) if time >= STALL_NS]}


def main(directory):
    writer = Writer(directory)
    print("done", flush=True)
    for line in sys.stdin:
        verb, *arguments = line.split()
        answer = getattr(writer, verb)(*map(int, arguments))
        print("done" if answer is None else json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])

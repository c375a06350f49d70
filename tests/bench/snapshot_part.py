# SPDX-License-Identifier: Apache-2.0
"""What the parts of the benchmark have in common: sizes, rows (of workload_report), holds."""

import dataclasses

from workload_list import Row
from workload_report import Result

MIB = 1 << 20


@dataclasses.dataclass(frozen=True)
class Sizes:
    files: int             # of the tree that is saved
    bytes: int
    fork_files: int
    fork_bytes: int
    forks: tuple           # how many there are when their time and memory is told
    pauses: tuple          # (files, dirty bytes)
    checkpoints: int       # of each of these


FULL = Sizes(files=20_000, bytes=247_000_000, fork_files=20_000, fork_bytes=1 << 30, forks=(1, 2, 4, 8, 16),
             pauses=((10_000, 102 * MIB), (100_000, 102 * MIB), (100_000, 1 << 30), (100_000, 4 << 30),
                     (1_000_000, 102 * MIB)), checkpoints=10)
QUICK = Sizes(files=1_000, bytes=12_350_000, fork_files=1_000, fork_bytes=16 * MIB, forks=(1, 2),
              pauses=((1_000, 10 * MIB),), checkpoints=3)


@dataclasses.dataclass
class Hold:
    """Something that the design promises."""

    what: str
    value: float
    bound: float
    unit: str

    def json(self):
        return dataclasses.asdict(self) | {"held": self.held}

    @property
    def held(self):
        return self.value <= self.bound

    def __str__(self):
        return f"{'held' if self.held else 'MISSED'}: {self.what}: {self.value:.3g} {self.unit}, at most {self.bound:g}"


class Part:
    """Requires: `tmpfs` is an empty directory in memory, `disk` one on a disk."""

    name = ""
    description = ""

    def __init__(self, stasis, sizes, repetitions, tmpfs, disk):
        self.stasis = stasis
        self.sizes = sizes
        self.repetitions = repetitions
        self.tmpfs = tmpfs
        self.disk = disk
        self.samples = f"median of {repetitions}"  # what the table has
        self.nice = None  # a priority for the sandboxes of `pauses`
        self.results = []
        self.holds = []
        self.notes = []   # sentences
        self.raw = []     # reports, for the JSON

    def row(self, name, unit, ours, columns):
        self.results.append(Result(self.name, Row(name, unit), ours, list(columns)))
        return self.results[-1]

    def measure(self):
        raise NotImplementedError

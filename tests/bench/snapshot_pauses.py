# SPDX-License-Identifier: Apache-2.0
"""What a program in a sandbox notices of checkpoints: how long its writes take meanwhile."""

import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import time

import snapshot_tree
from snapshot_part import MIB, Hold, Part
from snapshot_sandbox import SOURCES, TREE, raise_priority

PARTS = ("freeze", "flush", "drain", "prepare", "rows", "resume", "thaw")
FILE_BYTES = 100  # of the tree's files
BOUNDS_MS = {100_000: 30, 1_000_000: 100}
COLUMNS = ("stasis", "no checkpoint")
IDLE_SECONDS = (0.2, 3)  # at least and at most, of writes without a checkpoint


@contextlib.contextmanager
def gap_watchers():
    """Yields get(): the times (from, to) since the last call in which a processor ran nothing of ours, of each."""
    command = [sys.executable, "-B", os.path.join(SOURCES, "snapshot_gaps.py")]
    watchers = [subprocess.Popen([*command, str(cpu)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
                for cpu in sorted(os.sched_getaffinity(0))]

    def get():
        for watcher in watchers:
            watcher.stdin.write("\n")
            watcher.stdin.flush()
        return [gap for watcher in watchers for gap in json.loads(watcher.stdout.readline())]

    try:
        yield get
    finally:
        for watcher in watchers:
            watcher.stdin.close()
            watcher.wait()


def longest_outside(stalls, gaps):
    """The longest stall that no gap has a part in, in ns; 0 if there is none."""
    def disturbed(stall):
        return any(start < stall["at_ns"] + stall["ns"] and stall["at_ns"] < end for start, end in gaps)
    return max((stall["ns"] for stall in stalls if not disturbed(stall)), default=0)


class Pauses(Part):
    name = "pauses"
    description = "stalls of a program that writes, through FUSE, while checkpoints are made"

    def measure(self):
        self.samples = f"{self.sizes.checkpoints} checkpoints each"
        self.notes += ["no checkpoint: the same program and sandbox, as long as the checkpoint took, 3 s at most",
                       "a stall is the longest write of 4 KiB during one checkpoint, of a program in Python",
                       "on each processor a program of the highest priority watches how long it gets none"]
        if self.nice is not None:
            self.notes.append(f"sandboxes have the priority {self.nice}")
        for files, dirty in self.sizes.pauses:
            self._measure_size(files, dirty)

    def _measure_size(self, files, dirty):
        tree = os.path.join(self.tmpfs, "tree")
        snapshot_tree.make(tree, files, files * FILE_BYTES)
        with self.stasis.sandbox("paused", "--import", f"{tree}:{TREE}") as started:
            shutil.rmtree(tree)
            with self.stasis.conversation("paused", "snapshot_writer.py", "/tmp") as ask, gap_watchers() as gaps:
                if self.nice is not None:
                    raise_priority(started, self.nice)
                layout = os.path.join(self.disk, f"layout{files}.{dirty}")
                self.stasis.run_json("checkpoint", "paused", f"{layout}:first")
                samples = [self._checkpoint(ask, gaps, f"{layout}:next", dirty) for _ in range(self.sizes.checkpoints)]
        shutil.rmtree(layout)
        self.raw.append({"files": files, "dirty_bytes": dirty, "checkpoints": samples})
        self._add_rows(f"{files:,} files, {show_size(dirty)} new", samples)
        bound = BOUNDS_MS.get(files)
        if bound:
            longest = max(sample["busy"]["longest_ns"] for sample in samples) / 1e6
            self.holds.append(Hold(f"longest stall, {files:,} files, {show_size(dirty)} new", longest, bound, "ms"))

    def _checkpoint(self, ask, gaps, reference, dirty):
        ask(f"dirty {dirty}")
        gaps()
        ask("begin")
        report, seconds = self.stasis.run_json("checkpoint", "paused", reference)
        busy = json.loads(ask("end"))
        taken = gaps()
        busy["gaps_ns"] = sum(end - start for start, end in taken)
        busy["longest_without_gaps_ns"] = longest_outside(busy["stalls"], taken)
        ask("begin")
        time.sleep(min(max(seconds, IDLE_SECONDS[0]), IDLE_SECONDS[1]))
        idle = json.loads(ask("end"))
        layout, _ = reference.rsplit(":", 1)
        self.stasis.run("gc", f"{layout}:", "--older-than", "0")
        return {"command_s": seconds, "busy": busy, "idle": idle, "report": report}

    def _add_rows(self, what, samples):
        rows = [("median of stalls", "ms", lambda run: run["longest_ns"] / 1e6),
                ("median write", "us", lambda run: run["median_ns"] / 1e3),
                ("writes", "operations/s", lambda run: run["writes"] / run["wall_ns"] * 1e9)]
        self.notes.append(f"{what}:")
        for name, unit, value in rows:
            row = self.row(f"{what}: {name}", unit, "stasis", COLUMNS)
            row.samples["stasis"] = [value(sample["busy"]) for sample in samples]
            row.samples["no checkpoint"] = [value(sample["idle"]) for sample in samples]
        worst = self.row(f"{what}: worst stall", "ms", "stasis", COLUMNS)
        for column, run in (("stasis", "busy"), ("no checkpoint", "idle")):
            worst.samples[column] = [max(sample[run]["longest_ns"] for sample in samples) / 1e6]
        self.notes[-1] += " " + describe_pause([sample["report"] for sample in samples])
        self.notes.append("  " + describe_gaps([sample["busy"] for sample in samples]))


def describe_pause(reports):
    """The whole and its parts, medians."""
    pauses = [report["pause_ns"] / 1e6 for report in reports]
    parts = ", ".join(f"{part} {statistics.median(r['pause'][f'{part}_ns'] for r in reports) / 1e6:.2f}"
                      for part in PARTS)
    return (f"pause {statistics.median(pauses):.1f} ms (worst {max(pauses):.1f}), of that {parts}; "
            f"checkpoint {statistics.median(r['wall_ns'] for r in reports) / 1e9:.2f} s")


def describe_gaps(runs):
    """What the host has a part in: a processor that runs not even what goes before everything else."""
    taken = [run["gaps_ns"] / 1e6 for run in runs]
    without = max(run["longest_without_gaps_ns"] for run in runs) / 1e6
    return (f"the host took processors away for {statistics.median(taken):.0f} ms of a checkpoint (worst "
            f"{max(taken):.0f}); the longest stall in which it did not: "
            f"{f'{without:.1f} ms' if without else 'below 5 ms'}")


def show_size(size):
    return f"{size / (1 << 30):.2g} GiB" if size >= 100 * MIB else f"{size / MIB:.2g} MiB"

# SPDX-License-Identifier: Apache-2.0
"""What a program in a sandbox notices of checkpoints: how long its writes take meanwhile."""

import json
import os
import shutil
import statistics
import time

import snapshot_tree
from snapshot_part import MIB, Hold, Part
from snapshot_sandbox import TREE, raise_priority

PARTS = ("freeze", "flush", "drain", "prepare", "rows", "resume", "thaw")
FILE_BYTES = 100  # of the tree's files
BOUNDS_MS = {100_000: 30, 1_000_000: 100}
COLUMNS = ("stasis", "no checkpoint")
IDLE_SECONDS = (0.2, 3)  # at least and at most, of writes without a checkpoint


class Pauses(Part):
    name = "pauses"
    description = "stalls of a program that writes, through FUSE, while checkpoints are made"

    def measure(self):
        self.samples = f"{self.sizes.checkpoints} checkpoints each"
        self.notes += ["no checkpoint: the same program and sandbox, as long as the checkpoint took, 3 s at most",
                       "a stall is the longest write of 4 KiB during one checkpoint, of a program in Python"]
        if self.nice is not None:
            self.notes.append(f"sandboxes have the priority {self.nice}")
        for files, dirty in self.sizes.pauses:
            self._measure_size(files, dirty)

    def _measure_size(self, files, dirty):
        tree = os.path.join(self.tmpfs, "tree")
        snapshot_tree.make(tree, files, files * FILE_BYTES)
        with self.stasis.sandbox("paused", "--import", f"{tree}:{TREE}") as started:
            shutil.rmtree(tree)
            with self.stasis.conversation("paused", "snapshot_writer.py", "/tmp") as ask:
                if self.nice is not None:
                    raise_priority(started, self.nice)
                layout = os.path.join(self.disk, f"layout{files}.{dirty}")
                self.stasis.run_json("checkpoint", "paused", f"{layout}:first")
                samples = [self._checkpoint(ask, f"{layout}:next", dirty) for _ in range(self.sizes.checkpoints)]
        shutil.rmtree(layout)
        self.raw.append({"files": files, "dirty_bytes": dirty, "checkpoints": samples})
        self._add_rows(f"{files:,} files, {show_size(dirty)} new", samples)
        bound = BOUNDS_MS.get(files)
        if bound:
            longest = max(sample["busy"]["longest_ns"] for sample in samples) / 1e6
            self.holds.append(Hold(f"longest stall, {files:,} files, {show_size(dirty)} new", longest, bound, "ms"))

    def _checkpoint(self, ask, reference, dirty):
        ask(f"dirty {dirty}")
        ask("begin")
        report, seconds = self.stasis.run_json("checkpoint", "paused", reference)
        busy = json.loads(ask("end"))
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


def describe_pause(reports):
    """The whole and its parts, medians."""
    pauses = [report["pause_ns"] / 1e6 for report in reports]
    parts = ", ".join(f"{part} {statistics.median(r['pause'][f'{part}_ns'] for r in reports) / 1e6:.2f}"
                      for part in PARTS)
    return (f"pause {statistics.median(pauses):.1f} ms (worst {max(pauses):.1f}), of that {parts}; "
            f"checkpoint {statistics.median(r['wall_ns'] for r in reports) / 1e9:.2f} s")


def show_size(size):
    return f"{size / (1 << 30):.2g} GiB" if size >= 100 * MIB else f"{size / MIB:.2g} MiB"

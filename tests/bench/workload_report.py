# SPDX-License-Identifier: Apache-2.0
"""Results of workloads: medians, ratios, what the design promises, and the table."""

import dataclasses
import statistics

# What the design promises: {row: {peer: bound of the ratio}}. Against the FUSE peers it is the same for every row.
FASTER = 1.0
FUSE_PEERS = ("bindfs", "fuse-overlayfs", "bindfs-ext4", "fuse-overlayfs-ext4")
BOUNDS = {
    "untar": {"ext4": 2.5},
    "compile": {"ext4": 1.15},
    "git-status, warm": {"ext4": 1.15},
    "git-status, cold": {"ext4": 1.15},
    "sequential read": {"ext4": 1.3},
    "sequential read, cached": {"ext4": 1.3},
    "sequential write": {"ext4": 1.3},
    "null GETATTR": {"null-server": 1.2},
    "null STATFS": {"null-server": 1.2},
}
# The same of host directories.
HOST_BOUNDS = {
    "find, warm": {"ext4": 1.3},
    "git-status, warm": {"ext4": 1.3},
    "random read 4 KiB, cached": {"ext4": 1.1},
    "random write 4 KiB, cached": {"ext4": 1.1},
    "sequential read, cached": {"ext4": 1.1},
    "sequential write, cached": {"ext4": 1.1},
    "direct read 1 MiB": {"ext4": 1.1},
    "direct write 1 MiB": {"ext4": 1.1},
}
# And of overlays, beside the kernel's: builds and installs.
OVERLAY_BOUNDS = {
    "untar": {"overlayfs": 1.3},
    "compile": {"overlayfs": 1.3},
    "npm install": {"overlayfs": 1.3},
    "dpkg -i": {"overlayfs": 1.3},
    "apt-get install": {"overlayfs": 1.3},
    "first write": {"overlayfs": 1.0},
}
# Without reflink a first write has to copy.
OVERLAY_ON_EXT4_BOUNDS = {row: {f"{peer}-ext4": bound for peer, bound in bounds.items()}
                          for row, bounds in OVERLAY_BOUNDS.items() if row != "first write"}
BOUNDS_OF = {"stasis": BOUNDS, "host": HOST_BOUNDS, "overlay": OVERLAY_BOUNDS, "overlay-ext4": OVERLAY_ON_EXT4_BOUNDS}


@dataclasses.dataclass
class Result:
    """A row with its samples, {filesystem: [value]}, and why there are none, {filesystem: text}."""

    workload: str
    row: object
    ours: str          # the filesystem that is compared with the others
    filesystems: list
    samples: dict = dataclasses.field(default_factory=dict)
    failures: dict = dataclasses.field(default_factory=dict)

    def median(self, filesystem):
        """None if there is no sample, or not one from each repetition."""
        values = self.samples.get(filesystem)
        return statistics.median(values) if values and filesystem not in self.failures else None

    def ratio(self, peer):
        """How many times as long as on `peer` it takes on ours; None if either has no result."""
        ours, theirs = self.median(self.ours), self.median(peer)
        if not ours or not theirs:
            return None
        return theirs / ours if self.row.is_rate else ours / theirs

    def holds(self):
        bounds = {peer: FASTER for peer in FUSE_PEERS} | BOUNDS_OF[self.ours].get(self.row.name, {})
        ratios = {peer: self.ratio(peer) for peer in bounds}
        return [{"peer": peer, "bound": bounds[peer], "ratio": ratio, "held": is_held(ratio, peer, bounds[peer])}
                for peer, ratio in ratios.items() if ratio is not None]

    def json(self):
        peers = [name for name in self.filesystems if name != self.ours]
        return {
            "workload": self.workload,
            "ours": self.ours,
            "name": self.row.name,
            "unit": self.row.unit,
            "samples": self.samples,
            "median": {name: self.median(name) for name in self.filesystems},
            "ratio": {name: self.ratio(name) for name in peers},
            "holds": self.holds(),
            "failures": self.failures,
        }


def is_held(ratio, peer, bound):
    return ratio < bound if peer in FUSE_PEERS else ratio <= bound


def show_number(value):
    if value is None:
        return "-"
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"


def describe_holds(holds):
    missed = [f"{h['peer']} {h['ratio']:.2f} > {h['bound']:g}" for h in holds if not h["held"]]
    if missed:
        return "MISSED: " + ", ".join(missed)
    return "held: " + ", ".join(f"{h['peer']} {h['bound']:g}" for h in holds) if holds else ""


def show_table(results):
    """A table for each set of filesystems: medians, then our time divided by that of each."""
    groups = {}
    for result in results:
        groups.setdefault((result.ours, *result.filesystems), []).append(result)
    for (ours, *filesystems), group in groups.items():
        peers = [name for name in filesystems if name != ours] if ours in filesystems else []
        width = max(24, *(len(result.row.name) for result in group))
        head = f"\n{'row':{width}} {'unit':13}" + "".join(f"{name:>15}" for name in filesystems)
        print((head + "".join(f"{'/' + peer:>16}" for peer in peers) + "  hold").rstrip())
        for result in group:
            line = f"{result.row.name:{width}} {result.row.unit:13}"
            line += "".join(f"{show_number(result.median(name)):>15}" for name in filesystems)
            for peer in peers:
                ratio = result.ratio(peer)
                line += f"{'-' if ratio is None else format(ratio, '.2f'):>16}"
            print(f"{line}  {describe_holds(result.holds())}".rstrip())


def show_failures(results):
    told = {f"{result.workload} on {name}: {why}" for result in results for name, why in result.failures.items()}
    for line in sorted(told):
        print(f"failed: {line}")

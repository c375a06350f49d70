# SPDX-License-Identifier: Apache-2.0
"""The workloads: what each prepares on a filesystem, and what it measures there."""

import contextlib
import dataclasses
import json
import os
import shutil
import statistics
import time

from workload_filesystems import mount
from workload_inputs import debian_packages, git_environment
from workload_process import CommandFailed, run_command


@dataclasses.dataclass(frozen=True)
class Row:
    """One measured thing. `unit` is a time (less is better) or a rate (more is better)."""

    name: str
    unit: str

    @property
    def is_rate(self):
        return self.unit.endswith("/s")


class Workload:
    """Works in `directory`: a new one on the filesystem, or its root. One object per filesystem."""

    name = ""
    description = ""
    rows = ()
    programs = ()        # that have to be installed
    filesystems = None   # names; None: all but the null server
    at_root = False      # works on the filesystem's root, which it leaves as it is
    lower = None         # of overlays, and of nothing else: the input that is the lower layer

    def __init__(self, directory, inputs, ops):
        self.directory = directory
        self.inputs = inputs
        self.sizes = inputs.sizes
        self.ops = ops  # the path of workload_ops

    def path(self, *names):
        return os.path.join(self.directory, *names)

    def set_up(self):
        """Once, not measured."""

    def measure(self):
        """Once per repetition. Returns {row name: value in the row's unit}."""
        raise NotImplementedError


class Untar(Workload):
    name = "untar"
    description = "tar xf of a tree out of the page cache, and rm -r of it"
    rows = (Row("untar", "s"), Row("rm -r of the tree", "s"))
    programs = ("tar",)

    def measure(self):
        _, untar = run_command(["tar", "xf", self.inputs.tree(), "-C", self.directory])
        _, remove = run_command(["rm", "-r", self.path("tree")])
        return {"untar": untar, "rm -r of the tree": remove}


class WarmAndCold(Workload):
    """A command that reads a tree: with what the kernel keeps of it, and without."""

    def command(self):
        """(arguments, directory, environment)"""
        raise NotImplementedError

    def check(self, out):
        """Raises if `out` is not what the command has to say."""

    def measure(self):
        drop_caches()
        cold = self._run()
        warm = [self._run() for _ in range(self.sizes.warm_runs)]
        return {f"{self.name}, cold": cold, f"{self.name}, warm": statistics.median(warm)}

    def _run(self):
        command, directory, env = self.command()
        out, seconds = run_command(command, cwd=directory, env=env)
        self.check(out)
        return seconds


class Find(WarmAndCold):
    name = "find"
    description = "find -type f | xargs stat over that tree"
    rows = (Row("find, warm", "s"), Row("find, cold", "s"))
    programs = ("tar", "find", "xargs")

    def set_up(self):
        run_command(["tar", "xf", self.inputs.tree(), "-C", self.directory])

    def command(self):
        script = "find . -type f -print0 | xargs -0 stat --format=%s | wc -l"
        return ["sh", "-c", script], self.path("tree"), None

    def check(self, out):
        if int(out) != self.sizes.files:
            raise CommandFailed(f"find: {int(out)} files instead of {self.sizes.files}")


class GitStatus(WarmAndCold):
    name = "git-status"
    description = "git status in a repository of those files"
    rows = (Row("git-status, warm", "s"), Row("git-status, cold", "s"))
    programs = ("tar", "git")

    def set_up(self):
        run_command(["tar", "xf", self.inputs.repository(), "-C", self.directory])
        self._run()  # puts these inodes into the index

    def command(self):
        return ["git", "status", "--porcelain"], self.path("tree"), git_environment(self.directory)

    def check(self, out):
        if out:
            raise CommandFailed(f"git status: the tree is not clean: {out.splitlines()[0]}")


class Compile(Workload):
    name = "compile"
    description = "make -j2 of a C project, with gcc -O1; temporary files on the same filesystem"
    rows = (Row("compile", "s"),)
    programs = ("make", "gcc")

    def set_up(self):
        shutil.copytree(self.inputs.project(), self.path("project"))
        os.mkdir(self.path("tmp"))

    def measure(self):
        shutil.rmtree(self.path("project", "build"))
        os.mkdir(self.path("project", "build"))
        env = dict(os.environ, TMPDIR=self.path("tmp"))
        _, seconds = run_command(["make", "-s", "-j2"], cwd=self.path("project"), env=env)
        run_command([self.path("project", "build", "program")])
        return {"compile": seconds}


class NpmInstall(Workload):
    name = "npm"
    description = "npm install --offline of local packages, the cache on the same filesystem"
    rows = (Row("npm install", "s"),)
    programs = ("npm",)

    def measure(self):
        project = self.path("project")
        os.mkdir(project)
        shutil.copy(os.path.join(self.inputs.packages(), "package.json"), project)
        env = dict(os.environ, HOME=self.directory, NPM_CONFIG_UPDATE_NOTIFIER="false")
        _, seconds = run_command(["npm", "install", "--offline", "--no-audit", "--no-fund", "--ignore-scripts",
                                  "--cache", self.path("cache")], cwd=project, env=env)
        installed = len(os.listdir(os.path.join(project, "node_modules"))) - 1  # not .package-lock.json
        if installed != self.sizes.packages:
            raise CommandFailed(f"npm: {installed} packages instead of {self.sizes.packages}")
        for name in ("project", "cache"):
            shutil.rmtree(self.path(name))
        return {"npm install": seconds}


@dataclasses.dataclass(frozen=True)
class FioJob:
    row: Row
    rw: str
    block: str
    options: tuple = ()
    fsync_per_round: bool = False
    cached: bool = False


class Fio(Workload):
    """Jobs on one file, round after round. fio drops its pages before each round, so reads are of what the
    kernel does not have. Where the kernel reads a host file by itself, fio cannot drop them: compare there the
    jobs that are called cached, which all begin with the same pages and keep them. O_DIRECT goes around the
    kernel's pages where the filesystem supports it: bindfs opens the file beneath without it."""

    name = "fio"
    description = "fio (psync): random 4 KiB, sequential 1 MiB, buffered and with O_DIRECT"
    jobs = (
        FioJob(Row("random read 4 KiB", "operations/s"), "randread", "4k"),
        FioJob(Row("random read 4 KiB, cached", "operations/s"), "randread", "4k", cached=True),
        FioJob(Row("random write 4 KiB", "operations/s"), "randwrite", "4k"),
        FioJob(Row("random write 4 KiB, cached", "operations/s"), "randwrite", "4k", cached=True),
        FioJob(Row("sequential read", "MiB/s"), "read", "1m"),
        FioJob(Row("sequential read, cached", "MiB/s"), "read", "1m", cached=True),
        FioJob(Row("sequential write", "MiB/s"), "write", "1m", fsync_per_round=True),
        FioJob(Row("sequential write, cached", "MiB/s"), "write", "1m", fsync_per_round=True, cached=True),
        FioJob(Row("direct read 1 MiB", "MiB/s"), "read", "1m", ("--direct=1",)),
        FioJob(Row("direct write 1 MiB", "MiB/s"), "write", "1m", ("--direct=1",)),
    )
    rows = tuple(job.row for job in jobs)
    programs = ("fio",)

    def set_up(self):
        run_command(["fio", *self._options("write", "1m"), "--end_fsync=1"])

    def measure(self):
        return {job.row.name: self._run(job) for job in self.jobs}

    def _options(self, rw, block):
        return [f"--name={self.name}", f"--filename={self.path('file')}", f"--size={self.sizes.fio_bytes}",
                "--ioengine=psync", "--output-format=json", f"--rw={rw}", f"--bs={block}"]

    def _run(self, job):
        options = [*self._options(job.rw, job.block), *job.options,
                   f"--runtime={self.sizes.fio_seconds}", "--time_based"]
        if job.fsync_per_round:
            options.append(f"--fsync={self.sizes.fio_bytes >> 20}")  # end_fsync is for the last round only
        if job.cached:
            options.append("--invalidate=0")
            drop_pages()
            run_command(["dd", f"if={self.path('file')}", "of=/dev/null", "bs=1M", "status=none"])
        out, _ = run_command(["fio", *options])
        # Notes of fio's may come before the document.
        result = json.loads(out[out.index("{"):])["jobs"][0]["read" if "read" in job.rw else "write"]
        return result["iops"] if job.row.unit == "operations/s" else result["bw_bytes"] / (1 << 20)


class Operations(Workload):
    """What one operation of workload_ops measures, in a new directory."""

    def measure(self):
        directory = self.path("directory")
        os.mkdir(directory)
        out, _ = run_command([self.ops, self.operation, directory, str(self.sizes.operation_seconds)])
        shutil.rmtree(directory)
        values = dict(line.split() for line in out.splitlines())
        return {row.name: float(values[row.name]) for row in self.rows}


class CreateAndUnlink(Operations):
    name = operation = "create_unlink"
    description = "empty files, a thousand at a time"
    rows = (Row("create", "operations/s"), Row("unlink", "operations/s"))


class OpenAndClose(Operations):
    name = operation = "open_close"
    description = "open and close of one file"
    rows = (Row("open_close", "operations/s"),)


class MkdirAndRmdir(Operations):
    name = operation = "mkdir_rmdir"
    description = "a directory made and removed"
    rows = (Row("mkdir_rmdir", "operations/s"),)


class Rename(Operations):
    name = operation = "rename"
    description = "a file between two names"
    rows = (Row("rename", "operations/s"),)


class Stat(Operations):
    name = operation = "stat"
    description = "statx with AT_STATX_FORCE_SYNC: not from the kernel's cache"
    rows = (Row("stat", "operations/s"),)


class Clients(Operations):
    name = operation = "clients"
    description = "16 processes, each creates, writes 4 KiB, reads back, renames, unlinks"
    rows = (Row("clients", "operations/s"),)


class Installs(Workload):
    """The root directory of a Debian system, in which its own programs are run."""

    name = "installs"
    description = "dpkg -i, apt-get install and dpkg --purge of local packages in a Debian root below the overlay"
    rows = (Row("dpkg -i", "s"), Row("apt-get install", "s"), Row("dpkg --purge", "s"))
    programs = ("dpkg-deb",)
    at_root = True

    @staticmethod
    def lower(inputs):
        return inputs.debian()

    def set_up(self):
        with self._host_files():
            self._run("apt-get", "-q", "-o", "APT::Sandbox::User=root", "update")

    def measure(self):
        by_dpkg, by_apt = debian_packages(self.sizes)
        with self._host_files():
            dpkg = self._run("dpkg", "-i", *(f"/packages/{name}_1.0_all.deb" for name in by_dpkg))
            apt = self._run("apt-get", "-q", "-y", "-o", "APT::Sandbox::User=root", "-o", "Dpkg::Use-Pty=false",
                            "install", *by_apt)
            self._check(by_dpkg + by_apt)
            purge = self._run("dpkg", "--purge", *by_dpkg, *by_apt)
        return {"dpkg -i": dpkg, "apt-get install": apt, "dpkg --purge": purge}

    @contextlib.contextmanager
    def _host_files(self):
        """Device nodes of mounts are of no use to anybody."""
        with mount(["--bind", "/dev"], self.path("dev")), mount(["-t", "proc", "proc"], self.path("proc")):
            yield

    def _run(self, *command):
        env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}
        _, seconds = run_command(["/usr/sbin/chroot", self.directory, *command], env=env)
        return seconds

    def _check(self, packages):
        for name in packages:
            if len(os.listdir(self.path("usr", "share", name))) != min(4, self.sizes.package_files):
                raise CommandFailed(f"installs: {name} is not there as it should be")


class FirstWrite(Workload):
    name = "first-write"
    description = "one byte into a large file of the lower layer, which nobody has written to before, and fsync"
    rows = (Row("first write", "ms"),)
    at_root = True

    @staticmethod
    def lower(inputs):
        return inputs.large()

    def set_up(self):
        self.left = [self.path(f"large{i}") for i in range(self.sizes.large_files)]

    def measure(self):
        path, middle = self.left.pop(), self.sizes.large_file_bytes // 2
        begin = time.perf_counter()
        with open(path, "r+b", buffering=0) as file:
            os.pwrite(file.fileno(), b"x", middle)
            os.fsync(file.fileno())
        seconds = time.perf_counter() - begin
        with open(path, "rb") as file:
            is_whole = os.fstat(file.fileno()).st_size == self.sizes.large_file_bytes
            if not is_whole or os.pread(file.fileno(), 1, middle) != b"x":
                raise CommandFailed("first-write: the file is not what was written")
        os.unlink(path)
        return {"first write": seconds * 1000}


class NullRequests(Workload):
    """The root of a mount, about which a server knows everything."""

    name = "null"
    description = "round trip of a request for which there is nothing to do, beside a bare loop on the device"
    rows = (Row("null GETATTR", "ns"), Row("null STATFS", "ns"))
    filesystems = ("stasis", "null-server")
    at_root = True

    def measure(self):
        out, _ = run_command([self.ops, "null", self.directory, str(self.sizes.operation_seconds)])
        rates = {name: float(value) for name, value in (line.split() for line in out.splitlines())}
        return {"null GETATTR": 1e9 / rates["getattr"], "null STATFS": 1e9 / rates["statfs"]}


def drop_pages():
    """Pages, everybody's: what a job did to them is not to be the next one's."""
    run_command(["sync"])
    with open("/proc/sys/vm/drop_caches", "w", encoding="utf-8") as control:
        control.write("1")


def drop_caches():
    """Dentries and inodes, everybody's; then gets the tools' own back, which are not what is measured."""
    run_command(["sync"])
    with open("/proc/sys/vm/drop_caches", "w", encoding="utf-8") as control:
        control.write("2")
    for command in (["git", "--version"], ["sh", "-c", "find /dev/null | xargs stat | wc -l"]):
        if shutil.which(command[0]):
            run_command(command)


WORKLOADS = (Untar, Find, GitStatus, Compile, NpmInstall, Fio, CreateAndUnlink, OpenAndClose, MkdirAndRmdir, Rename,
             Stat, Clients, Installs, FirstWrite, NullRequests)

# SPDX-License-Identifier: Apache-2.0
"""What workloads work on: made once per run, the same in every run."""

import dataclasses
import hashlib
import io
import json
import os
import random
import shutil
import tarfile

from workload_process import run_command

SEED = 20000
TIME = 1_700_000_000  # of every generated file
WORDS = ("lock inode dentry mount page cache queue request reply block extent index journal tree node path name "
         "return const static struct void unsigned long if else while for break switch case default").split()
MAX_DEPTH = 8
FILES_PER_DIRECTORY = 15


@dataclasses.dataclass(frozen=True)
class Sizes:
    """How much a workload does."""

    files: int             # in the tree
    mean_file_bytes: int
    sources: int           # of the C project
    functions: int         # per source
    packages: int          # that npm installs
    package_files: int     # in each
    fio_bytes: int
    fio_seconds: int
    operation_seconds: float
    warm_runs: int         # of a warm command in one measurement: the median counts
    large_file_bytes: int
    large_files: int = 1   # one for each repetition


FULL = Sizes(files=20_000, mean_file_bytes=4096, sources=200, functions=8, packages=30, package_files=20,
             fio_bytes=256 << 20, fio_seconds=5, operation_seconds=1, warm_runs=5, large_file_bytes=1 << 30)
QUICK = Sizes(files=1_000, mean_file_bytes=4096, sources=10, functions=4, packages=5, package_files=10,
              fio_bytes=16 << 20, fio_seconds=1, operation_seconds=0.1, warm_runs=2, large_file_bytes=64 << 20)


class Inputs:
    """The inputs, in `directory`, each made when it is first asked for."""

    def __init__(self, directory, sizes):
        self.directory = directory
        self.sizes = sizes
        self.made = set()

    def tree(self):
        """A tar file: directories of some depth, files of log-normal sizes."""
        return self._made("tree.tar", lambda path: make_tree(path, self.sizes))

    def repository(self):
        """A tar file: the same with all of it committed to a git repository."""
        return self._made("repository.tar", lambda path: make_repository(path, self.tree(), self.directory))

    def project(self):
        """A directory: C sources and a Makefile."""
        return self._made("project", lambda path: make_project(path, self.sizes))

    def packages(self):
        """A directory: npm packages as tar.gz, and a package.json that needs all of them."""
        return self._made("packages", lambda path: make_packages(path, self.sizes))

    def debian(self):
        """A directory: a Debian root with packages in /packages, which is a repository, too."""
        return self._made("debian", lambda path: make_debian(path, self.sizes))

    def large(self):
        """A directory: files without holes, large0 and so on."""
        return self._made("large", lambda path: make_large_files(path, self.sizes))

    def _made(self, name, make):
        path = os.path.join(self.directory, name)
        if name not in self.made:
            remove(path)  # what a failure left
            make(path)
            self.made.add(name)
        return path


def git_environment(home):
    """For git as it is out of the box, whoever runs it."""
    return dict(os.environ, HOME=home, GIT_CONFIG_GLOBAL="/dev/null", GIT_CONFIG_SYSTEM="/dev/null",
                GIT_AUTHOR_NAME="bench", GIT_AUTHOR_EMAIL="bench@localhost", GIT_COMMITTER_NAME="bench",
                GIT_COMMITTER_EMAIL="bench@localhost", GIT_OPTIONAL_LOCKS="1")


def make_text(rng, size):
    out = io.StringIO()
    while out.tell() < size:
        out.write(" ".join(rng.choices(WORDS, k=10)))
        out.write("\n")
    return out.getvalue()[:size].encode()


def make_directories(rng, count):
    """`count` paths, parents first; most hang off a recent one, so that they get as deep as source trees are."""
    paths = ["tree"]
    while len(paths) < count:
        recent = paths[max(0, len(paths) - 40):]
        parent = rng.choice(recent if rng.random() < 0.5 else paths)
        if parent.count("/") < MAX_DEPTH:
            paths.append(f"{parent}/{rng.choice(WORDS)}{len(paths)}")
    return paths


def make_tree(path, sizes):
    rng = random.Random(SEED)
    text = make_text(rng, 1 << 20)
    directories = make_directories(rng, max(1, sizes.files // FILES_PER_DIRECTORY))
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as tar:
        for name in directories:
            add_to_tar(tar, name, None)
        for i in range(sizes.files):
            # The mean of a log-normal distribution is exp(mu + sigma**2 / 2).
            size = min(int(rng.lognormvariate(0, 1.25) * sizes.mean_file_bytes / 2.184), len(text) // 2)
            start = rng.randrange(len(text) - size)
            add_to_tar(tar, f"{rng.choice(directories)}/file{i}.c", text[start:start + size])


def add_to_tar(tar, name, content):
    """A regular file, or a directory if `content` is None."""
    info = tarfile.TarInfo(name)
    info.mtime = TIME
    if content is None:
        info.type, info.mode = tarfile.DIRTYPE, 0o755
        tar.addfile(info)
    else:
        info.mode, info.size = 0o644, len(content)
        tar.addfile(info, io.BytesIO(content))


def make_repository(path, tree, directory):
    top = os.path.join(directory, "repository")
    remove(top)
    os.mkdir(top)
    run_command(["tar", "xf", tree, "-C", top])
    git = ["git", "-c", "gc.auto=0", "-C", os.path.join(top, "tree")]
    env = git_environment(top)
    run_command([*git, "init", "-q"], env=env)
    run_command([*git, "add", "-A"], env=env)
    run_command([*git, "commit", "-q", "-m", "all"], env=env)
    run_command([*git, "repack", "-a", "-d", "-q"], env=env)
    run_command(["tar", "cf", path, "-C", top, "tree"])
    remove(top)


def remove(path):
    """A file or a tree, if it is there."""
    if os.path.isdir(path):
        shutil.rmtree(path)
    elif os.path.exists(path):
        os.unlink(path)


def write_file(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as out:
        out.write(text)


MAKEFILE = """CFLAGS = -O1 -Iinclude
objects = $(patsubst src/%.c,build/%.o,$(wildcard src/*.c))
build/program: $(objects)
\tgcc -o $@ $^
build/%.o: src/%.c
\tgcc $(CFLAGS) -MMD -c -o $@ $<
-include build/*.d
"""

C_INCLUDES = "".join(f"#include <{name}.h>\n" for name in ("errno", "stdio", "stdlib", "string", "unistd"))

C_FUNCTION = """
int f{n}(const char* text, int size) {{
  int sum = {seed};
  for (int i = 0; i < size; ++i) {{
    switch (text[i] % 7) {{
      case 0: sum += i * {seed}; break;
      case 1: sum ^= text[i] << (i % {shift}); break;
      case 2: if (sum > {seed}) sum -= atoi(text + i); break;
      default: sum = sum * 31 + (int)strlen(text + i);
    }}
  }}
  if (sum < 0) fprintf(stderr, "f{n}: %d\\n", sum);
  return sum;
}}
"""


def make_project(path, sizes):
    """Each source has a header of its own and includes those of ten others, as projects do."""
    rng = random.Random(SEED)
    os.makedirs(os.path.join(path, "build"))
    write_file(f"{path}/Makefile", MAKEFILE)
    for source in range(sizes.sources):
        numbers = range(source * sizes.functions, (source + 1) * sizes.functions)
        write_file(f"{path}/include/h{source}.h", f"#pragma once\n{C_INCLUDES}" +
                   "".join(f"int f{n}(const char* text, int size);\n" for n in numbers))
        others = rng.sample(range(sizes.sources), min(10, sizes.sources))
        text = "".join(f'#include "h{other}.h"\n' for other in [source, *others])
        text += "".join(C_FUNCTION.format(n=n, seed=rng.randrange(1, 1000), shift=rng.randrange(2, 8)) for n in numbers)
        if source == 0:
            text += "\nint main(int argc, char** argv) { return f0(argv[0], argc) & 0; }\n"
        write_file(f"{path}/src/s{source}.c", text)


def make_packages(path, sizes):
    rng = random.Random(SEED)
    names = [f"package-{i}" for i in range(sizes.packages)]
    os.mkdir(path)
    for name in names:
        with tarfile.open(f"{path}/{name}-1.0.0.tgz", "w:gz", format=tarfile.USTAR_FORMAT) as tar:
            manifest = {"name": name, "version": "1.0.0", "main": "lib/m0.js"}
            add_to_tar(tar, "package/package.json", json.dumps(manifest).encode())
            for i in range(sizes.package_files - 1):
                text = make_text(rng, int(rng.lognormvariate(8, 1)) % 65536)
                add_to_tar(tar, f"package/lib/m{i}.js", b"/* " + text + b" */\n")
    manifest = {"name": "bench", "version": "1.0.0", "private": True,
                "dependencies": {name: f"file:{path}/{name}-1.0.0.tgz" for name in names}}
    write_file(f"{path}/package.json", json.dumps(manifest))


DEBIAN_ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "testing", "debian_root.sh")

CONTROL = """Package: {name}
Version: 1.0
Architecture: all
Maintainer: bench <bench@localhost>
Description: bench
"""


def debian_packages(sizes):
    """Names of the packages: for dpkg, and for apt."""
    names = [f"bench-{i}" for i in range(sizes.packages)]
    return names[::2], names[1::2]


def make_debian(path, sizes):
    """Needs root, and the first time ever a Debian mirror."""
    run_command(["bash", DEBIAN_ROOT, path])
    rng = random.Random(SEED)
    for names in debian_packages(sizes):
        for name in names:
            make_debian_package(f"{path}/packages", name, rng, sizes)
    index = [describe_package(f"{path}/packages", file) for file in sorted(os.listdir(f"{path}/packages"))]
    write_file(f"{path}/packages/Packages", "\n".join(index))
    write_file(f"{path}/etc/apt/sources.list", "deb [trusted=yes] copy:/packages ./\n")


def make_debian_package(directory, name, rng, sizes):
    top = f"{directory}/{name}"
    write_file(f"{top}/DEBIAN/control", CONTROL.format(name=name))
    write_file(f"{top}/DEBIAN/postinst", "#!/bin/sh\nset -e\ntest \"$1\" = configure\n")
    os.chmod(f"{top}/DEBIAN/postinst", 0o755)
    for i in range(sizes.package_files):
        text = make_text(rng, int(rng.lognormvariate(8, 1)) % 65536)
        write_file(f"{top}/usr/share/{name}/d{i % 4}/file{i}", text.decode())
    run_command(["dpkg-deb", "-Zgzip", "--root-owner-group", "--build", top, directory])
    shutil.rmtree(top)


def describe_package(directory, file):
    """Its paragraph in an index."""
    path = f"{directory}/{file}"
    control, _ = run_command(["dpkg-deb", "-f", path])
    with open(path, "rb") as package:
        digest = hashlib.sha256(package.read()).hexdigest()
    return f"{control}Filename: ./{file}\nSize: {os.path.getsize(path)}\nSHA256: {digest}\n"


def make_large_files(path, sizes):
    os.mkdir(path)
    piece = random.Random(SEED).randbytes(1 << 20)
    for i in range(sizes.large_files):
        with open(f"{path}/large{i}", "wb") as out:
            for _ in range(sizes.large_file_bytes >> 20):
                out.write(piece)

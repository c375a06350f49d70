#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A tree that is the same in every run, on a host or in a sandbox, and changes to it that are the same too.

usage: snapshot_tree.py make DIR FILES BYTES           BYTES in all, of log-normal sizes
       snapshot_tree.py change DIR FILES COUNT SEED    writes COUNT of them anew
       snapshot_tree.py digest DIR                     of all names, modes and contents
"""

import hashlib
import os
import random
import sys

FILES_PER_DIRECTORY = 15
DIRECTORIES_PER_DIRECTORY = 60
SEED = 20000
SIGMA = 1.25
LONGEST = 64  # times the mean


def path_of(directory, number):
    leaf = number // FILES_PER_DIRECTORY
    return f"{directory}/part{leaf // DIRECTORIES_PER_DIRECTORY}/node{leaf}/file{number}.c"


def content(seed, number, size):
    """Unlike that of any other file or seed; compresses to half of its size."""
    return random.Random(f"{seed}.{number}").randbytes((size + 1) // 2).hex().encode()[:size]


def sizes_of(files, total):
    """`files` sizes whose sum is about `total`."""
    rng = random.Random(SEED)
    weights = [min(rng.lognormvariate(0, SIGMA), LONGEST) for _ in range(files)]
    scale = total / sum(weights)
    return [int(weight * scale) for weight in weights]


def make(directory, files, total):
    for number, size in enumerate(sizes_of(files, total)):
        path = path_of(directory, number)
        if number % FILES_PER_DIRECTORY == 0:
            os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as out:
            out.write(content(SEED, number, size))


def change(directory, files, count, seed):
    for number in random.Random(seed).sample(range(files), count):
        path = path_of(directory, number)
        size = os.stat(path).st_size
        with open(path, "wb") as out:
            out.write(content(seed, number, size))


def digest(directory):
    total = hashlib.sha256()
    for top, directories, files in os.walk(directory):
        directories.sort()
        for name in sorted(files):
            path = os.path.join(top, name)
            with open(path, "rb") as file:
                sha = hashlib.sha256(file.read()).hexdigest()
            total.update(f"{os.path.relpath(path, directory)} {os.stat(path).st_mode:o} {sha}\n".encode())
    return total.hexdigest()


def main(arguments):
    verb, directory, numbers = arguments[0], arguments[1], [int(number) for number in arguments[2:]]
    if verb == "digest":
        print(digest(directory))
    else:
        {"make": make, "change": change}[verb](directory, *numbers)


if __name__ == "__main__":
    main(sys.argv[1:])

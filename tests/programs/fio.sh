# SPDX-License-Identifier: Apache-2.0
#
# fio writes blocks that carry their place and checksum, and reads them back.

. "$(dirname "$0")/steps.sh"
needs fio fio

size=$((8 * seconds))m

# job NAME OPTION...: runs it, and says how much it wrote. What it finds wrong is an error.
job() {
  local name=$1
  shift
  fio --name=$name --filename_format='$jobname.$jobnum.data' --size=$size --randseed=4711 \
    --verify=crc32c \
    --verify_fatal=1 --verify_state_save=0 --fallocate=none --output-format=json \
    --output=$name.json "$@" || { cat $name.json >&2; fail "fio $name"; }
  /usr/bin/python3 - $name.json <<'PYTHON'
import json, sys
with open(sys.argv[1]) as file:
    text = file.read()
    for job in json.loads(text[text.index('{'):])['jobs']:  # notes come first
        assert job['write']['io_bytes'] + job['read']['io_bytes'] > 0 and job['error'] == 0, job
        print(job['jobname'], job['write']['io_bytes'])
PYTHON
}

before() {
  job psync_sequential --ioengine=psync --rw=write --bs=64k --fsync=32
  job psync_random --ioengine=psync --rw=randwrite --bs=4k --fdatasync=64
  job mmap_random --ioengine=mmap --rw=randwrite --bs=4k
  job libaio_direct --ioengine=libaio --iodepth=16 --direct=1 --rw=randwrite --bs=16k
  job sizes --ioengine=pvsync2 --rw=randwrite --bsrange=512-200k --blockalign=512 --fsync=16
  job vary --ioengine=sync --rw=randrw --rwmixread=40 --bs=8k --end_fsync=1
  sha256sum vary.0.data sizes.0.data >sums # blocks have the time in them
}

# What was written is there still, read in another way; and more.
after() {
  job psync_sequential --ioengine=mmap --rw=write --bs=64k --verify_only
  job psync_random --ioengine=libaio --iodepth=8 --direct=1 --rw=randwrite --bs=4k --verify_only
  job mmap_random --ioengine=psync --rw=randwrite --bs=4k --verify_only
  job libaio_direct --ioengine=mmap --rw=randwrite --bs=16k --verify_only
  sha256sum --check sums
  job libaio_overwrite --ioengine=libaio --iodepth=32 --direct=1 --rw=randwrite --bs=4k \
    --norandommap --io_size=$((16 * seconds))m --verify_backlog=256 --serialize_overlap=1 |
    cut -d ' ' -f 1 # how much depends on who is faster
  at_work job mmap_sequential --ioengine=mmap --rw=write --bs=4k --fsync=100 --verify_backlog=100
  job sync_append --ioengine=sync --rw=write --bs=3000 --fsync_on_close=1
  job four --ioengine=psync --rw=randwrite --bs=4k --numjobs=4 --size=2m \
    --verify_backlog=64 --fsync=50
}

recover() {
  job psync_random --ioengine=psync --rw=randwrite --bs=4k --verify_only >/dev/null
  job mmap_random --ioengine=mmap --rw=randwrite --bs=4k --verify_only >/dev/null
}

"$@"

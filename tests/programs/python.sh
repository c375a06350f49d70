# SPDX-License-Identifier: Apache-2.0
#
# Python's own tests of what it does with files.

. "$(dirname "$0")/steps.sh"
python=/usr/bin/python3
$python -c 'import test.test_os' 2>/dev/null ||
  fail "Python's tests are not installed: apt-get install libpython3.11-testsuite"

before() { $python "$here/python_tests.py" test_os test_shutil test_tempfile test_pathlib; }
after() {
  at_work
  $python "$here/python_tests.py" test_mmap test_fcntl test_posix test_file test_fileio test_stat \
    test_glob test_largefile.CLargeFileTest test_mailbox test_dbm_dumb test_zipfile \
    test_posixpath test_filecmp
}
recover() { $python "$here/python_tests.py" test_fileio >/dev/null; }

"$@"

# SPDX-License-Identifier: Apache-2.0
#
# git: object names are digests of content, so the same names are the same content.

. "$(dirname "$0")/steps.sh"
needs git git
export GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=c
export GIT_COMMITTER_EMAIL=c@d GIT_AUTHOR_DATE='1700000000 +0000' GIT_EDITOR=true
export GIT_COMMITTER_DATE=$GIT_AUTHOR_DATE

commit() {
  git add -A
  git commit -qm "$1"
}

before() {
  git init -q -b main repo
  cd repo
  for i in {1..300}; do
    mkdir -p dir$((i % 17))
    seq $i $((i + 200)) >dir$((i % 17))/file$i
  done
  ln -s dir1 link
  install -m 755 /dev/null program
  commit one
  for i in {1..20}; do
    sed -i "$((i * 5))s/.*/change $i/" dir1/file1
    ((i > 17)) || git mv dir2/file$((i * 17 - 15)) dir3/
    commit "change $i"
  done
  git checkout -q -b topic HEAD~10
  for i in {11..15}; do
    sed -i "$((i * 5))s/.*/topic $i/" dir1/file1 # what main changed as well
    echo $i >new$i
    commit "topic $i"
  done
  git rev-parse main topic
}

clone() {
  rm -rf copy
  git clone -q repo copy 2>&1
}

after() {
  at_work clone
  git clone -q --no-hardlinks --bare repo bare.git
  git clone -q file://$PWD/repo packed
  cd repo
  if git rebase -q main >/dev/null 2>&1; then fail "the rebase had no conflict"; fi
  conflicts=0
  while [[ -d .git/rebase-merge ]]; do
    git diff --name-only --diff-filter=U
    git checkout -q --theirs dir1/file1
    git add dir1/file1
    conflicts=$((conflicts + 1))
    git rebase --continue >/dev/null 2>&1 || true
  done
  echo "$conflicts conflicts"
  git log --format='%H %s' -8
  git push -q ../bare.git topic:rebased
  git worktree add -q ../worktree main
  git stash list
  git gc -q --aggressive --prune=now
  git repack -adq
  git fsck --full --strict --no-dangling --no-progress
  git count-objects -v | grep -E 'count|packs'
  git status --porcelain
  cd ..
  for each in copy packed bare.git; do
    git -C $each fsck --full --no-progress
    git -C $each rev-parse HEAD HEAD^{tree}
  done
  git -C copy fetch -q
  git -C copy rev-parse origin/topic
  git -C worktree archive main | sha256sum
  git -C repo ls-tree -r topic | sha256sum
}

# Whatever git was doing when the checkpoint was taken.
recover() {
  find . -name '*.lock' -path '*.git/*' -delete
  git -C repo fsck --full --no-progress >/dev/null
  git -C repo archive topic | sha256sum >/dev/null
  git -C repo gc -q --force # whoever held its lock is gone
}

"$@"

// SPDX-License-Identifier: Apache-2.0
//
// tree_text.h: all that a VFS says of its tree, to be compared.

#ifndef STASIS_TESTS_FSIMPL_GOFER_TREE_TEXT_H_
#define STASIS_TESTS_FSIMPL_GOFER_TREE_TEXT_H_

#include <absl/strings/escaping.h>
#include <absl/strings/str_format.h>

#include <algorithm>
#include <map>
#include <string>

#include "tests/testing/test_vfs.h"

namespace stasis::gofer {

// By path. Without inode numbers, which differ, and access times.
using TreeText = std::map<std::string, std::string>;

inline std::string TextOf(testing::TestVfs& t, const std::string& path) {
  const vfs::Stat stat = t.Stat(path);
  std::string text =
      absl::StrFormat("%o %d:%d links=%d size=%d mtime=%d ctime=%d rdev=%d", stat.mode, stat.uid,
                      stat.gid, stat.nlink, stat.size, stat.mtime, stat.ctime, stat.rdev);
  if (S_ISLNK(stat.mode)) return text + " -> " + t.ReadLink(path);
  auto names = t.vfs().ListXattrAt(t.creds(), t.At(path));
  EXPECT_TRUE(names.has_value()) << path;
  std::sort(names->begin(), names->end());
  for (const std::string& name : *names)
    text += " " + name + "=" + absl::CHexEscape(t.GetXattr(path, name));
  if (S_ISREG(stat.mode)) text += " '" + absl::CHexEscape(t.Read(path)) + "'";
  return text;
}

inline void AddTreeText(testing::TestVfs& t, const std::string& path, TreeText& text) {
  const std::string shown = path.empty() ? "/" : path;
  text[shown] = TextOf(t, shown);
  if (!S_ISDIR(t.Stat(shown).mode)) return;
  for (const std::string& name : t.List(shown)) AddTreeText(t, path + "/" + name, text);
}

inline TreeText TextOf(testing::TestVfs& t) {
  TreeText text;
  AddTreeText(t, "", text);
  return text;
}

}  // namespace stasis::gofer

#endif  // STASIS_TESTS_FSIMPL_GOFER_TREE_TEXT_H_

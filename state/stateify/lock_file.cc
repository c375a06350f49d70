// SPDX-License-Identifier: Apache-2.0

#include "state/stateify/lock_file.h"

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <absl/strings/str_split.h>
#include <absl/strings/strip.h>

#include <algorithm>

namespace stasis::stateify {
namespace {

// FNV-1a: the same for ever and everywhere.
uint64_t StableHash(std::string_view text) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const char c : text) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3;
  return hash;
}

using Words = std::vector<std::string>;

// Reads one lock file, line by line.
class Parser {
 public:
  Parser(LockFile& lock, Errors& errors) : lock_(lock), errors_(errors) {}

  bool Line(std::string_view line, int number) {
    Words words =
        absl::StrSplit(absl::string_view(line.data(), line.size()), ' ', absl::SkipEmpty());
    if (words.empty() || words[0][0] == '#') return true;
    const bool ok = line[0] == ' ' ? Entry(words) : Head(words);
    if (!ok)
      errors_.push_back(absl::StrCat("lock file line ", number, ": not understood: ",
                                     absl::string_view(line.data(), line.size())));
    return ok;
  }

 private:
  bool Head(const Words& w) {
    in_ = Section::kNone;
    if (w[0] == "layer" && w.size() == 3) {
      lock_.layer = w[1];
      return absl::SimpleHexAtoi(w[2], &lock_.schema_id);
    }
    if (w[0] == "enum" && w.size() == 3) {
      in_ = Section::kEnum;
      lock_.enums.push_back({w[1], w[2], {}});
      return true;
    }
    const bool retired = w[0] == "retired";
    const Words rest(w.begin() + (retired ? 1 : 0), w.end());
    if (rest.size() != 2 && !(rest.size() == 4 && rest[2] == ":")) return false;
    if (rest[0] != "class" && rest[0] != "struct") return false;
    in_ = Section::kClass;
    lock_.classes.push_back(
        {rest[1], rest[0] == "class", rest.size() == 4 ? rest[3] : "", retired, {}});
    return true;
  }

  bool Entry(const Words& w) {
    if (in_ == Section::kEnum) return Value(w);
    if (in_ != Section::kClass || w.size() < 4 || w[2] != ":") return false;
    LockedClass& locked = lock_.classes.back();
    LockedField field;
    if (!absl::SimpleAtoi(w[0], &field.number) || field.number != locked.fields.size())
      return false;
    field.type = w[3];
    field.name = w[1];
    if (w.size() == 6 && w[4] == "was") {
      field.retired = true;
      field.name = w[5];
      locked.fields.push_back(field);
      return w[1] == absl::StrCat("retired", field.number);
    }
    locked.fields.push_back(field);
    return w.size() == 4;
  }

  bool Value(const Words& w) {
    const bool retired = w.size() == 4 && w[3] == "retired";
    if ((w.size() != 3 && !retired) || w[1] != "=") return false;
    LockedValue value{w[0], 0, retired};
    if (!absl::SimpleAtoi(w[2], &value.value)) return false;
    lock_.enums.back().values.push_back(value);
    return true;
  }

  enum class Section { kNone, kEnum, kClass };
  LockFile& lock_;
  Errors& errors_;
  Section in_ = Section::kNone;
};

template <typename T>
T& FindOrAdd(std::vector<T>& sorted, const std::string& name, bool& fresh) {
  auto it = std::lower_bound(sorted.begin(), sorted.end(), name,
                             [](const T& t, const std::string& n) { return t.name < n; });
  fresh = it == sorted.end() || it->name != name;
  if (fresh) {
    it = sorted.insert(it, T{});
    it->name = name;
  }
  return *it;
}

// Enforces the rules for one class.
class ClassMerge {
 public:
  ClassMerge(Class& now, LockedClass& locked, Errors& errors)
      : now_(now), locked_(locked), errors_(errors), used_(locked.fields.size()) {}

  void Run() {
    const size_t known = locked_.fields.size();
    for (Field& field : now_.fields)
      if (!field.was.empty()) Place(field);
    for (Field& field : now_.fields)
      if (field.was.empty()) Place(field);
    for (size_t i = 0; i < known; ++i)
      if (!used_[i]) locked_.fields[i].retired = true;
    // A row takes at least a word, so that its bytes pay for the object: a class without fields
    // gets one that is retired from the start.
    if (locked_.fields.empty() && locked_.is_object)
      locked_.fields.push_back({0, "-", "bool", true});
  }

 private:
  void Place(Field& field) {
    LockedField* entry = FindLive(field.name);
    for (const Field& other : now_.fields)
      if (other.name == field.was) {
        Refuse(field, absl::StrCat("was \"", field.was, "\", which another field is called now"));
        return;
      }
    if (LockedField* old = field.was.empty() ? nullptr : FindLive(field.was); old != nullptr) {
      if (entry != nullptr) {
        Refuse(field, absl::StrCat("was \"", field.was, "\", but both are in the lock file"));
        return;
      }
      entry = old;
      entry->name = field.name;
    }
    if (entry == nullptr) {
      entry = Append(field);
      if (entry == nullptr) return;
    }
    if (entry->type != field.type.name) {
      Refuse(field, absl::StrCat("its type was ", entry->type, " and is now ", field.type.name,
                                 "; a type never changes: give the field a new name"));
      return;
    }
    used_[entry->number] = true;
    field.number = entry->number;
  }

  LockedField* Append(const Field& field) {
    if (!field.was.empty()) {
      Refuse(field, absl::StrCat("was \"", field.was, "\", which the lock file does not have"));
      return nullptr;
    }
    for (const LockedField& old : locked_.fields)
      if (old.retired && old.name == field.name) {
        Refuse(field, absl::StrCat("a retired field (number ", old.number,
                                   ") had that name, which older images still use: take another"));
        return nullptr;
      }
    const auto number = static_cast<uint32_t>(locked_.fields.size());
    locked_.fields.push_back({number, field.name, field.type.name, false});
    used_.push_back(true);
    return &locked_.fields.back();
  }

  LockedField* FindLive(const std::string& name) {
    for (LockedField& field : locked_.fields)
      if (!field.retired && field.name == name && !used_[field.number]) return &field;
    return nullptr;
  }

  void Refuse(const Field& field, const std::string& why) {
    errors_.push_back(absl::StrCat(field.where, ": ", now_.name, " field ", field.name, ": ", why));
  }

  Class& now_;
  LockedClass& locked_;
  Errors& errors_;
  std::vector<bool> used_;
};

void MergeClass(Class& now, LockFile& lock, Errors& errors) {
  bool fresh = false;
  LockedClass& locked = FindOrAdd(lock.classes, now.name, fresh);
  if (fresh) {
    locked.is_object = now.is_object;
    locked.base = now.base;
  }
  const char* why = nullptr;
  if (locked.retired) why = "a retired class had that name, which older images still use";
  if (locked.is_object != now.is_object) why = "a class and a plain struct are saved differently";
  if (locked.base != now.base) why = "its savable base class changed";
  if (why != nullptr) {
    errors.push_back(absl::StrCat(now.where, ": ", now.name, ": ", why));
    return;
  }
  ClassMerge(now, locked, errors).Run();
}

void MergeEnum(const Enum& now, LockFile& lock, Errors& errors) {
  bool fresh = false;
  LockedEnum& locked = FindOrAdd(lock.enums, now.name, fresh);
  const std::string type = absl::StrCat(now.is_signed ? "i" : "u", now.bits);
  if (fresh) locked.type = type;
  if (locked.type != type)
    errors.push_back(
        absl::StrCat("enum ", now.name, ": its type was ", locked.type, " and is now ", type));
  for (LockedValue& old : locked.values) {
    const bool present = std::any_of(now.values.begin(), now.values.end(),
                                     [&](const auto& v) { return v.first == old.name; });
    if (!present) old.retired = true;
  }
  for (const auto& entry : now.values) {
    const std::string& name = entry.first;
    const int64_t value = entry.second;
    auto old = std::find_if(locked.values.begin(), locked.values.end(),
                            [&](const LockedValue& v) { return v.name == name; });
    if (old != locked.values.end()) {
      if (old->value != value || old->retired)
        errors.push_back(absl::StrCat("enum ", now.name, ": ", name, " was ", old->value,
                                      old->retired ? " and is retired" : "", ", and is now ",
                                      value));
      continue;
    }
    const bool taken =
        std::any_of(locked.values.begin(), locked.values.end(),
                    [&](const LockedValue& v) { return v.retired && v.value == value; });
    if (taken)
      errors.push_back(absl::StrCat("enum ", now.name, ": ", name, " takes the value ", value,
                                    " of a retired one"));
    locked.values.push_back({name, value, false});
  }
}

}  // namespace

const LockedClass* LockFile::FindClass(const std::string& name) const {
  for (const LockedClass& c : classes)
    if (c.name == name) return &c;
  return nullptr;
}

LockFile NewLock(const std::string& layer) {
  LockFile lock;
  lock.layer = layer;
  // Cap'n Proto wants the highest bit set.
  lock.schema_id = StableHash(absl::StrCat("stasis.state.", layer)) | (uint64_t{1} << 63);
  return lock;
}

bool ParseLock(std::string_view text, LockFile& lock, Errors& errors) {
  Parser parser(lock, errors);
  int number = 0;
  for (absl::string_view line : absl::StrSplit(absl::string_view(text.data(), text.size()), '\n')) {
    if (!parser.Line({line.data(), line.size()}, ++number)) return false;
  }
  if (!lock.layer.empty() && lock.schema_id >> 63 == 1) return true;
  errors.push_back("lock file: no layer line");
  return false;
}

std::string PrintLock(const LockFile& lock) {
  std::string out = absl::StrCat("# Field numbers of the saved classes of ", lock.layer,
                                 ", given out for ever. Written by stateify: see "
                                 "docs/saved_state.md.\n");
  absl::StrAppendFormat(&out, "layer %s 0x%016x\n", lock.layer, lock.schema_id);
  for (const LockedEnum& e : lock.enums) {
    absl::StrAppend(&out, "\nenum ", e.name, " ", e.type, "\n");
    for (const LockedValue& v : e.values)
      absl::StrAppend(&out, "  ", v.name, " = ", v.value, v.retired ? " retired" : "", "\n");
  }
  for (const LockedClass& c : lock.classes) {
    absl::StrAppend(&out, "\n", c.retired ? "retired " : "", c.is_object ? "class " : "struct ",
                    c.name, c.base.empty() ? "" : " : ", c.base, "\n");
    for (const LockedField& f : c.fields) {
      const std::string name = f.retired ? absl::StrCat("retired", f.number) : f.name;
      absl::StrAppend(&out, "  ", f.number, " ", name, " : ", f.type,
                      f.retired ? absl::StrCat(" was ", f.name) : "", "\n");
    }
  }
  return out;
}

void Merge(Program& program, LockFile& lock, Errors& errors) {
  for (LockedClass& old : lock.classes) {
    const Class* now = program.FindClass(old.name);
    if (now == nullptr || now->layer != lock.layer) old.retired = true;
  }
  for (Class& c : program.classes)
    if (c.layer == lock.layer) MergeClass(c, lock, errors);
  for (const Enum& e : program.enums)
    if (e.layer == lock.layer) MergeEnum(e, lock, errors);
}

}  // namespace stasis::stateify

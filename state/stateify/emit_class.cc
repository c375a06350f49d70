// SPDX-License-Identifier: Apache-2.0

#include "state/stateify/emit_class.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_replace.h>

#include <algorithm>
#include <initializer_list>
#include <set>
#include <utility>
#include <vector>

#include "state/stateify/schema_names.h"

namespace stasis::stateify {
namespace {

using Kind = SavedType::Kind;

std::vector<const Field*> ByNumber(const Class& c) {
  std::vector<const Field*> fields;
  for (const Field& field : c.fields) fields.push_back(&field);
  std::sort(fields.begin(), fields.end(),
            [](const Field* a, const Field* b) { return a->number < b->number; });
  return fields;
}

bool HasManual(const Class& c) {
  return std::any_of(c.fields.begin(), c.fields.end(), [](const Field& f) { return f.manual; });
}
// Whether the field waits for objects of the class's own family.
bool IsFamilyWait(const Program& program, const Class& c, const Field& field) {
  const auto& targets = field.type.targets;
  return field.wait && std::any_of(targets.begin(), targets.end(), [&](const std::string& target) {
           return program.Family(target) == program.Family(c.name);
         });
}
bool HasFamilyWait(const Program& program, const Class& c) {
  return std::any_of(c.fields.begin(), c.fields.end(),
                     [&](const Field& f) { return IsFamilyWait(program, c, f); });
}
bool AnyFamilyWait(const Program& program, const std::vector<const Class*>& chain) {
  return std::any_of(chain.begin(), chain.end(),
                     [&](const Class* c) { return HasFamilyWait(program, *c); });
}
bool AnyAfterLoad(const std::vector<const Class*>& chain) {
  return std::any_of(chain.begin(), chain.end(), [](const Class* c) { return c->after_load; });
}

std::string TypeOf(const Class& c) { return absl::StrCat("Access::Type<", c.cpp_name, ">"); }

using Vars = std::initializer_list<std::pair<absl::string_view, absl::string_view>>;
std::string Fill(absl::string_view text, Vars vars) { return absl::StrReplaceAll(text, vars); }

// "ScalarOf(o.flags_)" and so on: what the setter of the row gets.
std::string SavedValue(const Field& field, const std::string& value, const std::string& column) {
  const std::string target = absl::StrCat("TargetOf(", value, ")");
  switch (field.type.kind) {
    case Kind::kExactRef:
      return absl::StrCat("graph.ExactId(", target, ")");
    case Kind::kAnyRef:
      return absl::StrCat("graph.AnyId(", target, ")");
    case Kind::kChunk:
      return absl::StrCat("graph.ChunkId(", target, ")");
    case Kind::kVariable:
      return absl::StrCat("SaveSlice(", column, ", ", value, ")");
    default:
      return absl::StrCat("ScalarOf(", value, ")");
  }
}

// The condition under which a loaded value is wrong; empty if none is.
std::string LoadFailure(const Field& field, const std::string& value, const std::string& stored,
                        const std::string& decoder) {
  const auto call = [&](const char* function) {
    return absl::StrCat("!", function, "(", decoder, ", ", value, ", ", stored, ")");
  };
  switch (field.type.kind) {
    case Kind::kExactRef:
      return call("SetExact");
    case Kind::kAnyRef:
      return call("SetAny");
    case Kind::kChunk:
      return call("SetChunk");
    case Kind::kEnum:
      return call("SetEnum");
    case Kind::kVariable:
      return absl::StrCat("!LoadSlice(", decoder, ", ", stored, ", ", value, ")");
    default:
      return "";
  }
}

bool NeedsDecoder(const Field& field) {
  return field.type.kind != Kind::kBool && field.type.kind != Kind::kInt &&
         field.type.kind != Kind::kFloat;
}

std::string DecoderName(const Field& field) { return absl::StrCat("d", field.number); }
std::string ColumnName(const Field& field) { return absl::StrCat("c", field.number); }

std::string EmitSave(const Class& c, const LockedClass& locked, const std::string& schema) {
  std::string body;
  std::string columns;
  std::string contents;
  bool uses_object = false;
  bool uses_graph = false;
  int column = 0;
  for (const Field* field : ByNumber(c)) {
    const std::string name = UpperCamel(LowerCamel(field->name));
    std::string value = absl::StrCat("o.", field->member);
    if (field->manual) value = absl::StrCat("o.Save", UpperCamel(field->name), "()");
    uses_object = true;
    uses_graph |= field->type.kind == Kind::kExactRef || field->type.kind == Kind::kAnyRef ||
                  field->type.kind == Kind::kChunk;
    absl::StrAppend(&body, "    row.set", name, "(", SavedValue(*field, value, ColumnName(*field)),
                    ");\n");
    if (field->type.kind != Kind::kVariable) continue;
    absl::StrAppend(&columns, "  Encoder& ", ColumnName(*field), " = batch.Column(", column++,
                    ");\n");
    absl::StrAppend(&contents, "  columns.set", name, "Column(batch.Content(", ColumnName(*field),
                    "));\n");
  }
  if (uses_graph) absl::StrAppend(&columns, "  const GraphWriter& graph = batch.graph();\n");
  if (uses_object)
    body =
        absl::StrCat("  for (uint32_t i = 0; i < n; ++i) {\n    const auto& o = static_cast<const ",
                     c.cpp_name, "&>(batch[i]);\n    auto row = rows[i];\n", body, "  }\n");
  return Fill(
      "void $TYPE::Save(SaveBatch& batch, capnp::AnyPointer::Builder part) {\n"
      "  auto columns = part.initAs<$SCHEMAColumns>();\n"
      "  columns.setFieldCount($COUNT);\n"
      "  const uint32_t n = batch.size();\n"
      "  [[maybe_unused]] auto rows = columns.initRows(n);\n$COLUMNS$BODY$CONTENTS}\n\n",
      {{"$TYPE", TypeOf(c)},
       {"$SCHEMA", schema},
       {"$COUNT", absl::StrCat(locked.fields.size())},
       {"$COLUMNS", columns},
       {"$BODY", body},
       {"$CONTENTS", contents}});
}

// Load of the plain fields, or of the manual ones.
class LoadEmitter {
 public:
  LoadEmitter(const Class& c, bool manual) : class_(c), manual_(manual) {}

  std::string Emit(const LockedClass& locked, const std::string& schema) {
    for (const Field* field : ByNumber(class_))
      if (field->manual == manual_) Add(*field);
    if (!body_.empty())
      body_ = absl::StrCat(
          "  for (uint32_t i = 0; i < batch.size(); ++i) {\n    auto& o = ", "static_cast<",
          class_.cpp_name, "&>(batch[i]);\n    auto row = rows[i];\n", body_, "  }\n");
    return Fill(
        "absl::Status $TYPE::$NAME(LoadBatch& batch, capnp::AnyPointer::Reader part) {\n"
        "  auto columns = part.getAs<$SCHEMAColumns>();\n"
        "  auto rows = columns.getRows();\n"
        "  absl::Status shape = batch.Begin(kName, rows, columns.getFieldCount(), $COUNT);\n"
        "  if (!shape.ok()) return shape;\n$DECODERS$BODY$ENDS  return absl::OkStatus();\n}\n\n",
        {{"$TYPE", TypeOf(class_)},
         {"$NAME", manual_ ? "LoadManual" : "Load"},
         {"$SCHEMA", schema},
         {"$COUNT", absl::StrCat(locked.fields.size())},
         {"$DECODERS", decoders_},
         {"$BODY", body_},
         {"$ENDS", ends_}});
  }

 private:
  void Add(const Field& field) {
    const std::string name = UpperCamel(LowerCamel(field.name));
    const std::string d = DecoderName(field);
    const bool variable = field.type.kind == Kind::kVariable;
    if (NeedsDecoder(field))
      absl::StrAppend(&decoders_, "  Decoder ", d, " = batch.Column(",
                      variable ? absl::StrCat("columns.get", name, "Column()") : "{}", ");\n");
    if (variable)
      absl::StrAppend(&ends_, "  if (!", d, ".ColumnUsedUp()) return batch.ColumnError(\"",
                      field.name, "\", ", d, ");\n");
    const std::string stored = absl::StrCat("row.get", name, "()");
    if (manual_) {
      AddManual(field, stored, d);
      return;
    }
    const std::string member = absl::StrCat("o.", field.member);
    const std::string failure = LoadFailure(field, member, stored, d);
    const std::string has = absl::StrCat("batch.Has(", field.number, ")");
    if (failure.empty()) {
      absl::StrAppend(&body_, "    if (", has, ") SetScalar(", member, ", ", stored, ");\n");
    } else {
      absl::StrAppend(&body_, "    if (", has, " && ", failure,
                      ")\n      return batch.FieldError(i, \"", field.name, "\", ", d, ");\n");
    }
  }

  void AddManual(const Field& field, const std::string& stored, const std::string& d) {
    const std::string camel = UpperCamel(field.name);
    absl::StrAppend(&body_, "    if (batch.Has(", field.number,
                    ")) {\n      std::remove_cvref_t<decltype(o.Save", camel, "())> value{};\n");
    const std::string failure = LoadFailure(field, "value", stored, d);
    if (failure.empty()) {
      absl::StrAppend(&body_, "      SetScalar(value, ", stored, ");\n");
    } else {
      absl::StrAppend(&body_, "      if (", failure, ")\n        return batch.FieldError(i, \"",
                      field.name, "\", ", d, ");\n");
    }
    absl::StrAppend(&body_, "      absl::Status s = o.Load", camel,
                    "(std::move(value), batch.context());\n      if (!s.ok()) return s;\n    }\n");
  }

  const Class& class_;
  const bool manual_;
  std::string decoders_;
  std::string body_;
  std::string ends_;
};

std::string VisitCall(const Field& field) {
  const std::string value = field.manual ? absl::StrCat("o.Save", UpperCamel(field.name), "()")
                                         : absl::StrCat("o.", field.member);
  return absl::StrCat("  VisitField(w, ", value, ");\n");
}

// A member function that does something for the class's own fields, without its bases'.
std::string EmitOwn(const Class& c, const std::string& head, const std::string& body) {
  const bool unused = body.empty();
  return absl::StrCat("void ", TypeOf(c), "::", head, " {\n", unused ? "  (void)o;\n" : "", body,
                      "}\n\n");
}

std::string EmitOwnFunctions(const Program& program, const Class& c) {
  std::string visit;
  std::string clear;
  std::string waits;
  for (const Field* field : ByNumber(c)) {
    if (field->type.has_refs) absl::StrAppend(&visit, VisitCall(*field));
    if (field->type.has_refs && !field->manual)
      absl::StrAppend(&clear, "  ClearField(o.", field->member, ");\n");
    if (IsFamilyWait(program, c, *field)) absl::StrAppend(&waits, VisitCall(*field));
  }
  if (c.load_failed) clear = absl::StrCat("  o.", c.cpp_name, "::LoadFailed();\n", clear);
  if (visit.empty()) visit = "  (void)w;\n  (void)o;\n";
  std::string out =
      EmitOwn(c, absl::StrCat("VisitOwn(GraphWriter& w, ", c.cpp_name, "& o)"), visit);
  absl::StrAppend(&out, EmitOwn(c, absl::StrCat("ClearOwn(", c.cpp_name, "& o)"), clear));
  if (c.before_save)
    absl::StrAppend(&out, EmitOwn(c, absl::StrCat("BeforeSaveOwn(", c.cpp_name, "& o)"),
                                  absl::StrCat("  o.", c.cpp_name, "::BeforeSave();\n")));
  if (c.after_load)
    absl::StrAppend(&out, "absl::Status ", TypeOf(c), "::AfterLoadOwn(", c.cpp_name,
                    "& o, LoadContext& context) {\n  return o.", c.cpp_name,
                    "::AfterLoad(context);\n}\n\n");
  if (!waits.empty())
    absl::StrAppend(
        &out, EmitOwn(c, absl::StrCat("WaitsOwn(WaitList& w, const ", c.cpp_name, "& o)"), waits));
  return out;
}

// The functions of a concrete class, which cover its bases.
std::string EmitWhole(const Program& program, const Class& c) {
  const auto chain = program.Chain(c);
  std::string before;
  std::string visit;
  std::string clear;
  std::string after;
  std::string waits;
  for (const Class* level : chain) {
    const std::string type = TypeOf(*level);
    if (level->before_save) absl::StrAppend(&before, "  ", type, "::BeforeSaveOwn(o);\n");
    absl::StrAppend(&visit, "  ", type, "::VisitOwn(w, o);\n");
    absl::StrAppend(&clear, "  ", type, "::ClearOwn(o);\n");
    if (level->after_load)
      absl::StrAppend(&after, "  if (absl::Status s = ", type,
                      "::AfterLoadOwn(o, context); !s.ok()) return s;\n");
    if (HasFamilyWait(program, *level)) absl::StrAppend(&waits, "  ", type, "::WaitsOwn(w, o);\n");
  }
  std::string out = Fill(
      "Object* $TYPE::Create() { return new $CLASS(); }\n\n"
      "void $TYPE::Visit(GraphWriter& w, Object& object) {\n"
      "  auto& o = static_cast<$CLASS&>(object);\n$BEFORE$VISIT}\n\n"
      "void $TYPE::ClearReferences(Object& object) {\n"
      "  auto& o = static_cast<$CLASS&>(object);\n$CLEAR}\n\n",
      {{"$TYPE", TypeOf(c)},
       {"$CLASS", c.cpp_name},
       {"$BEFORE", before},
       {"$VISIT", visit},
       {"$CLEAR", clear}});
  if (!after.empty())
    absl::StrAppend(&out, "absl::Status ", TypeOf(c),
                    "::AfterLoad(Object& object, LoadContext& context) {\n  auto& o = static_cast<",
                    c.cpp_name, "&>(object);\n", after, "  return absl::OkStatus();\n}\n\n");
  if (!waits.empty())
    absl::StrAppend(&out, "void ", TypeOf(c),
                    "::Waits(const Object& object, WaitList& w) {\n  const auto& o = "
                    "static_cast<const ",
                    c.cpp_name, "&>(object);\n", waits, "}\n\n");
  return out;
}

// Classes of other families that come before `c`. If objects of `c` wait for others of their
// family, then also those that any of the family waits for.
std::set<std::string> WaitTargets(const Program& program, const Class& c) {
  const auto chain = program.Chain(c);
  const bool whole_family = AnyFamilyWait(program, chain);
  const std::string family = program.Family(c.name);
  std::set<std::string> targets;
  for (const Class& k : program.classes) {
    const bool in_chain = std::find(chain.begin(), chain.end(), &k) != chain.end();
    if (!in_chain && !(whole_family && program.Family(k.name) == family)) continue;
    for (const Field& field : k.fields)
      for (const std::string& target : field.type.targets)
        if (field.wait && program.Family(target) != family) targets.insert(target);
  }
  return targets;
}

std::string EmitDescriptors(const Program& program, const Class& c) {
  const std::string type = TypeOf(c);
  std::string out =
      absl::StrCat("constinit const LevelDescriptor ", type, "::kLevel = {kName, &Save, &Load, ",
                   HasManual(c) ? "&LoadManual" : "nullptr", "};\n");
  if (c.is_abstract) return out + "\n";
  const auto chain = program.Chain(c);
  std::string levels;
  for (const Class* level : chain) absl::StrAppend(&levels, "    &", TypeOf(*level), "::kLevel,\n");
  std::string waits;
  for (const std::string& target : WaitTargets(program, c))
    absl::StrAppend(&waits, "    &", TypeOf(*program.FindClass(target)), "::kLevel,\n");
  absl::StrAppend(&out, "constinit const LevelDescriptor* const ", type, "::kLevels[] = {\n",
                  levels, "};\n");
  if (!waits.empty())
    absl::StrAppend(&out, "constinit const LevelDescriptor* const ", type, "::kWaits[] = {\n",
                    waits, "};\n");
  absl::StrAppend(&out, "constinit const TypeDescriptor ", type, "::kType = {\n    kName, &typeid(",
                  c.cpp_name, "), kLevels, &Create, &Visit, &ClearReferences,\n    ",
                  AnyAfterLoad(chain) ? "&AfterLoad" : "nullptr", ", ",
                  AnyFamilyWait(program, chain) ? "&Waits" : "nullptr", ", ",
                  waits.empty() ? "{}" : "kWaits", "};\n\n");
  return out;
}

}  // namespace

std::string DeclareClass(const Program& program, const Class& c) {
  const auto chain = program.Chain(c);
  std::string out = Fill(
      "template <>\nstruct Access::Type<$CLASS> {\n"
      "  static constexpr const char* kName = \"$NAME\";\n"
      "  static const LevelDescriptor kLevel;\n"
      "  static void Save(SaveBatch& batch, capnp::AnyPointer::Builder part)\n      "
      "ABSL_NO_THREAD_SAFETY_ANALYSIS;\n"
      "  static absl::Status Load(LoadBatch& batch, capnp::AnyPointer::Reader part)\n      "
      "ABSL_NO_THREAD_SAFETY_ANALYSIS;\n"
      "  static void VisitOwn(GraphWriter& w, $CLASS& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;\n"
      "  static void ClearOwn($CLASS& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;\n",
      {{"$CLASS", c.cpp_name}, {"$NAME", c.name}});
  if (HasManual(c))
    absl::StrAppend(&out, "  static absl::Status LoadManual(LoadBatch& batch, ",
                    "capnp::AnyPointer::Reader part)\n      ABSL_NO_THREAD_SAFETY_ANALYSIS;\n");
  if (c.before_save)
    absl::StrAppend(&out, "  static void BeforeSaveOwn(", c.cpp_name,
                    "& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;\n");
  if (c.after_load)
    absl::StrAppend(&out, "  static absl::Status AfterLoadOwn(", c.cpp_name,
                    "& o, LoadContext& context)\n      ABSL_NO_THREAD_SAFETY_ANALYSIS;\n");
  if (HasFamilyWait(program, c))
    absl::StrAppend(&out, "  static void WaitsOwn(WaitList& w, const ", c.cpp_name,
                    "& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;\n");
  if (!c.is_abstract) {
    absl::StrAppend(&out, "  static const TypeDescriptor kType;\n",
                    "  static const LevelDescriptor* const kLevels[", chain.size(), "];\n");
    if (const size_t waits = WaitTargets(program, c).size(); waits != 0)
      absl::StrAppend(&out, "  static const LevelDescriptor* const kWaits[", waits, "];\n");
    absl::StrAppend(&out, "  static Object* Create();\n",
                    "  static void Visit(GraphWriter& w, Object& object);\n",
                    "  static void ClearReferences(Object& object);\n");
    if (AnyAfterLoad(chain))
      absl::StrAppend(&out,
                      "  static absl::Status AfterLoad(Object& object, LoadContext& context);\n");
    if (AnyFamilyWait(program, chain))
      absl::StrAppend(&out, "  static void Waits(const Object& object, WaitList& w);\n");
  }
  return out + "};\n\n";
}

std::string DeclareStruct(const Class& c, uint32_t field_count, bool has_refs) {
  return Fill(
      "template <>\nstruct Access::Type<$CLASS> {\n"
      "  static constexpr const char* kName = \"$NAME\";\n"
      "  static constexpr uint32_t kFieldCount = $COUNT;\n"
      "  static constexpr bool kHasRefs = $REFS;\n"
      "  static void Encode(Encoder& e, const $CLASS& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;\n"
      "  static bool Decode(Decoder& d, $CLASS& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;\n"
      "  static void Visit(GraphWriter& w, const $CLASS& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;\n"
      "  static void Visit(WaitList& w, const $CLASS& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;\n"
      "  static void ClearReferences($CLASS& o) ABSL_NO_THREAD_SAFETY_ANALYSIS;\n};\n\n",
      {{"$CLASS", c.cpp_name},
       {"$NAME", c.name},
       {"$COUNT", absl::StrCat(field_count)},
       {"$REFS", has_refs ? "true" : "false"}});
}

std::string DeclareEnum(const Enum& e) {
  const std::string number = absl::StrCat(e.is_signed ? "int" : "uint", e.bits, "_t");
  std::string out = absl::StrCat("template <>\nstruct Access::Enum<", e.cpp_name,
                                 "> {\n  static constexpr bool Valid(", number, " number) {\n");
  if (e.is_flags) {
    uint64_t mask = 0;
    for (const auto& [name, value] : e.values) mask |= static_cast<uint64_t>(value);
    absl::StrAppend(&out, "    return (number & ~", number, "{", mask, "u}) == 0;\n  }\n};\n\n");
    return out;
  }
  absl::StrAppend(&out, "    switch (number) {\n");
  std::set<int64_t> seen;
  for (const auto& [name, value] : e.values) {
    if (!seen.insert(value).second) continue;
    const std::string literal = value < 0
                                    ? absl::StrCat("static_cast<", number, ">(", value + 1, " - 1)")
                                : e.is_signed ? absl::StrCat(value)
                                              : absl::StrCat(static_cast<uint64_t>(value), "u");
    absl::StrAppend(&out, "      case ", literal, ":  // ", name, "\n");
  }
  absl::StrAppend(&out, seen.empty() ? "" : "        return true;\n",
                  "      default:\n        return false;\n    }\n  }\n};\n\n");
  return out;
}

std::string DefineClass(const Program& program, const Class& c, const LockedClass& locked,
                        const std::string& schema_namespace) {
  const std::string schema = absl::StrCat(schema_namespace, "::", StructName(c.name));
  std::string out = absl::StrCat("// ", c.name, "\n\n", EmitSave(c, locked, schema),
                                 LoadEmitter(c, false).Emit(locked, schema));
  if (HasManual(c)) absl::StrAppend(&out, LoadEmitter(c, true).Emit(locked, schema));
  absl::StrAppend(&out, EmitOwnFunctions(program, c));
  if (!c.is_abstract) absl::StrAppend(&out, EmitWhole(program, c));
  return out + EmitDescriptors(program, c);
}

std::string DefineStruct(const Class& c) {
  std::string encode;
  std::string cases;
  std::string visit;
  std::string clear;
  for (const Field* field : ByNumber(c)) {
    absl::StrAppend(&encode, "  s.Field(", field->number, ", o.", field->member, ");\n");
    absl::StrAppend(&cases, "      case ", field->number, ":\n        s.Field(\"", field->name,
                    "\", o.", field->member, ");\n        break;\n");
    if (!field->type.has_refs) continue;
    absl::StrAppend(&visit, VisitCall(*field));
    absl::StrAppend(&clear, "  ClearField(o.", field->member, ");\n");
  }
  if (visit.empty()) visit = "  (void)w;\n  (void)o;\n";
  std::string out = Fill(
      "// $NAME\n\nvoid $TYPE::Encode(Encoder& e, const $CLASS& o) {\n"
      "  StructEncoder s(e);\n$ENCODE  (void)o;\n"
      "  s.Finish();\n}\n\n"
      "bool $TYPE::Decode(Decoder& d, $CLASS& o) {\n"
      "  StructDecoder s(d, kName, kFieldCount);\n  (void)o;\n  while (s.Next()) {\n"
      "    switch (s.number()) {\n$CASES      default:\n        s.Skip();\n    }\n  }\n"
      "  return s.Done();\n}\n\n",
      {{"$NAME", c.name},
       {"$TYPE", TypeOf(c)},
       {"$CLASS", c.cpp_name},
       {"$ENCODE", encode},
       {"$CASES", cases}});
  for (const char* visitor : {"GraphWriter", "WaitList"})
    absl::StrAppend(
        &out,
        EmitOwn(c, absl::StrCat("Visit(", visitor, "& w, const ", c.cpp_name, "& o)"), visit));
  return out + EmitOwn(c, absl::StrCat("ClearReferences(", c.cpp_name, "& o)"), clear);
}

}  // namespace stasis::stateify

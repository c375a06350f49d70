// SPDX-License-Identifier: Apache-2.0

#include "state/stateify/emit_code.h"

#include <absl/strings/ascii.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_replace.h>

#include <algorithm>
#include <functional>
#include <set>
#include <vector>

#include "state/stateify/emit_class.h"

namespace stasis::stateify {
namespace {

constexpr size_t kMaxLines = 600;

constexpr char kHead[] =
    "// SPDX-License-Identifier: Apache-2.0\n//\n// Made by stateify; do not edit.\n// "
    "clang-format off\n\n";

std::string Guard(const std::string& path) {
  std::string guard = "STASIS_";
  for (const char c : path)
    guard += absl::ascii_isalnum(static_cast<unsigned char>(c))
                 ? absl::ascii_toupper(static_cast<unsigned char>(c))
                 : '_';
  return guard + "_";
}

std::string Guarded(const std::string& path, const std::string& body) {
  const std::string guard = Guard(path);
  return absl::StrCat(kHead, "#ifndef ", guard, "\n#define ", guard, "\n\n", body, "\n#endif  // ",
                      guard, "\n");
}

size_t CountLines(const std::string& text) {
  return static_cast<size_t>(std::count(text.begin(), text.end(), '\n'));
}

class LayerEmitter {
 public:
  LayerEmitter(const Program& program, const Layer& layer, const LockFile& lock,
               const std::vector<Layer>& layers)
      : program_(program), layer_(layer), lock_(lock), layers_(layers) {}

  std::map<std::string, std::string> Emit() {
    const std::string types = Path("types.h");
    files_[types] = Guarded(types, TypesHeader());
    const std::string header = Path(layer_.name + ".state.h");
    files_[header] = Guarded(header, StateHeader());
    Sources(header);
    return std::move(files_);
  }

 private:
  std::string Path(const std::string& file) const {
    return absl::StrCat(layer_.dir, "/gen/", file);
  }
  bool Mine(const std::string& layer) const { return layer == layer_.name; }

  std::string TypesHeader() const {
    return absl::StrCat(
        "#include \"state/registry.h\"\n\nnamespace stasis::", layer_.name,
        "::gen {\n\n// Adds the savable types of this layer.\n",
        "void RegisterTypes(state::Registry& registry);\n\n}  // namespace stasis::", layer_.name,
        "::gen\n");
  }

  // Layers whose classes this one's fields and bases name.
  std::set<std::string> UsedLayers() const {
    std::set<std::string> used;
    for (const Class& c : program_.classes) {
      if (!Mine(c.layer)) continue;
      if (const Class* base = program_.FindClass(c.base); base != nullptr) used.insert(base->layer);
      for (const Field& field : c.fields) {
        for (const auto* names : {&field.type.targets, &field.type.structs})
          for (const std::string& name : *names)
            if (const Class* k = program_.FindClass(name); k != nullptr) used.insert(k->layer);
        for (const Enum& e : program_.enums)
          if (field.type.name.find(absl::StrCat("enum<", e.name, ":")) != std::string::npos)
            used.insert(e.layer);
      }
    }
    used.erase(layer_.name);
    return used;
  }

  std::string StateHeader() const {
    std::set<std::string> includes = {"state/codec/fields.h", "state/registry.h"};
    for (const Class& c : program_.classes)
      if (Mine(c.layer)) includes.insert(c.file);
    for (const Enum& e : program_.enums)
      if (Mine(e.layer)) includes.insert(e.file);
    const auto used = UsedLayers();
    for (const Layer& other : layers_)
      if (used.count(other.name) != 0)
        includes.insert(absl::StrCat(other.dir, "/gen/", other.name, ".state.h"));
    std::string out = "#include <absl/base/thread_annotations.h>\n\n#include <cstdint>\n\n";
    for (const std::string& file : includes) absl::StrAppend(&out, "#include \"", file, "\"\n");
    absl::StrAppend(&out, "\nnamespace stasis::state {\n\n");
    for (const Enum& e : program_.enums)
      if (Mine(e.layer)) absl::StrAppend(&out, DeclareEnum(e));
    for (const Class& c : program_.classes)
      if (Mine(c.layer) && !c.is_object)
        absl::StrAppend(&out, DeclareStruct(c, FieldCount(c), HasRefs(c)));
    for (const Class& c : program_.classes)
      if (Mine(c.layer) && c.is_object) absl::StrAppend(&out, DeclareClass(program_, c));
    return out + "}  // namespace stasis::state\n";
  }

  uint32_t FieldCount(const Class& c) const {
    const LockedClass* locked = lock_.FindClass(c.name);
    return locked == nullptr ? 0 : static_cast<uint32_t>(locked->fields.size());
  }
  static bool HasRefs(const Class& c) {
    return std::any_of(c.fields.begin(), c.fields.end(),
                       [](const Field& f) { return f.type.has_refs; });
  }

  std::string SourceHead(const std::string& header) const {
    return absl::StrCat(kHead, "#include \"", header,
                        "\"\n\n#include <type_traits>\n#include <typeinfo>\n#include <utility>\n\n"
                        "#include \"state/load_batch.h\"\n#include \"state/save_batch.h\"\n"
                        "#include \"",
                        Path("types.h"), "\"\n#include \"", Path(layer_.name + ".state.capnp.h"),
                        "\"\n\nnamespace stasis::state {\n\n");
  }

  void Sources(const std::string& header) {
    const std::string schema = absl::StrCat("::stasis::", layer_.name, "::schema");
    const std::string tail = "}  // namespace stasis::state\n";
    std::string out = SourceHead(header);
    std::string registers;
    int file = 1;
    auto file_name = [&] {
      return Path(absl::StrCat(layer_.name, ".state", file == 1 ? "" : absl::StrCat(file), ".cc"));
    };
    for (const Class& c : program_.classes) {
      if (!Mine(c.layer)) continue;
      const std::string code = c.is_object
                                   ? DefineClass(program_, c, *lock_.FindClass(c.name), schema)
                                   : DefineStruct(c);
      if (CountLines(out) > 30 && CountLines(out) + CountLines(code) > kMaxLines) {
        files_[file_name()] = out + tail;
        ++file;
        out = SourceHead(header);
      }
      absl::StrAppend(&out, code);
      if (c.is_object && !c.is_abstract)
        absl::StrAppend(&registers, "    registry.Add(Type<", c.cpp_name, ">::kType);\n");
    }
    absl::StrAppend(&out, tail, RegisterFunction(registers));
    files_[file_name()] = out;
  }

  // By way of Access: a savable class may be private to another.
  std::string RegisterFunction(const std::string& registers) const {
    return absl::StrReplaceAll(
        "\nnamespace stasis::$LAYER::gen {\nstruct Layer;\n}\n\n"
        "template <>\nstruct stasis::state::Access::Type<stasis::$LAYER::gen::Layer> {\n"
        "  static void Register(Registry& registry) {\n    (void)registry;\n$REGISTERS  }\n};\n\n"
        "namespace stasis::$LAYER::gen {\n\nvoid RegisterTypes(state::Registry& registry) {\n"
        "  state::Access::Type<Layer>::Register(registry);\n}\n\n"
        "}  // namespace stasis::$LAYER::gen\n",
        {{"$LAYER", layer_.name}, {"$REGISTERS", registers}});
  }

  const Program& program_;
  const Layer& layer_;
  const LockFile& lock_;
  const std::vector<Layer>& layers_;
  std::map<std::string, std::string> files_;
};

}  // namespace

std::map<std::string, std::string> EmitCode(const Program& program, const Layer& layer,
                                            const LockFile& lock,
                                            const std::vector<Layer>& layers) {
  return LayerEmitter(program, layer, lock, layers).Emit();
}

}  // namespace stasis::stateify

// SPDX-License-Identifier: Apache-2.0

#include <cstdio>
#include <span>

#include "state/base/result.h"
#include "state/chunk.h"

int main() {
  constexpr char kText[] = "kept";
  auto chunk = stasis::state::Chunk::Create(std::as_bytes(std::span(kText)), sizeof(kText));
  auto bytes = chunk ? (*chunk)->Bytes() : stasis::Err(chunk.error());
  if (!bytes) {
    std::printf("%s\n", stasis::ErrnoName(bytes.error()).c_str());
    return 1;
  }
  return bytes->size() == sizeof(kText) ? 0 : 1;
}

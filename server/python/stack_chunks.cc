#include "python/stack_chunks.h"

#include <array>
#include <cstddef>

#include "python/py_ref.h"

namespace gunid {
namespace {

constexpr std::size_t kChunkSize = 16 * 1024;  // Python's; others are passed on
constexpr std::size_t kMostKept = 128;

PyObjectArenaAllocator g_system;

// Of one thread, so nothing is locked: chunks are also freed without the GIL.
struct Kept {
  bool keeps = false;
  std::size_t count = 0;
  std::array<void*, kMostKept> chunks{};
};
thread_local Kept t_kept;

void* Allocate(void* /*context*/, std::size_t size) {
  if (size == kChunkSize && t_kept.count > 0) return t_kept.chunks[--t_kept.count];
  return g_system.alloc(g_system.ctx, size);
}

void Free(void* /*context*/, void* chunk, std::size_t size) {
  if (size == kChunkSize && t_kept.keeps && t_kept.count < kMostKept) {
    t_kept.chunks[t_kept.count++] = chunk;
  } else {
    g_system.free(g_system.ctx, chunk, size);
  }
}

}  // namespace

void KeepStackChunks() {
  t_kept.keeps = true;
  PyObject_GetArenaAllocator(&g_system);
  PyObjectArenaAllocator keeping{nullptr, Allocate, Free};
  PyObject_SetArenaAllocator(&keeping);
}

}  // namespace gunid

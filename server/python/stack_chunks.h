// Python (from 3.11 on) keeps the frames of each thread and each greenlet in a chunk of memory of
// its own, which it maps and unmaps: with a greenlet for each request that would cost more than all
// the rest of a request.
#pragma once

namespace gunid {

// Keeps some chunks that the calling thread has given back, for its next greenlets. Once, GIL held.
void KeepStackChunks();

}  // namespace gunid

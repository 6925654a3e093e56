// Reads what faulthandler, and a worker with greenlets, write: the stacks of a process, one block for
// each thread or greenlet. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace gunid {

struct StackBlock {
  std::string name;  // "Thread 0x00007f12...", "Greenlet 0x00007f12..."
  bool greenlet = false;
  std::uint64_t ident = 0;   // the number in the name
  std::uint64_t serial = 0;  // of the request that a greenlet runs; 0: none, or it is a thread
  std::string stack;         // the lines below the header, the most recent call first
};

// In the order of the text. What is no block - a line that is cut, a foreign line - is left out.
std::vector<StackBlock> ParseStacks(std::string_view text);

// The one that runs a request: the greenlet that names it, or else the thread; null if there is none.
const StackBlock* FindStack(const std::vector<StackBlock>& blocks, std::uint64_t serial,
                            std::uint64_t thread);

}  // namespace gunid

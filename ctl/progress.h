// A line on the terminal that counts the seconds while gunictl waits; it is gone when the object
// is. Has a thread of its own, because the wait blocks.
#pragma once

#include <string>
#include <thread>

namespace gunid {

class Progress {
 public:
  explicit Progress(std::string what);

 private:
  std::jthread thread_;
};

}  // namespace gunid

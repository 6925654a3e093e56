// A line on the terminal that counts the seconds while gunictl waits, and says how far the server
// is; it is gone when the object is. Has a thread of its own, because the wait blocks.
#pragma once

#include <functional>
#include <string>
#include <thread>

namespace gunid {

class Progress {
 public:
  // `progress` is called on that thread; "" where there is nothing to say.
  Progress(std::string what, std::function<std::string()> progress);

 private:
  std::jthread thread_;
};

}  // namespace gunid

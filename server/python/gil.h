// The GIL as scopes. GilHeld: a thread that is not running Python takes it; GilReleased: one that
// holds it gives it up for something that blocks; GilKeeper: over many calls, as long as nothing blocks.
#pragma once

#include "python/py_ref.h"

namespace gunid {

class [[nodiscard]] GilHeld {
 public:
  GilHeld() : state_(PyGILState_Ensure()) {}
  ~GilHeld() { PyGILState_Release(state_); }
  GilHeld(const GilHeld&) = delete;
  GilHeld& operator=(const GilHeld&) = delete;

 private:
  PyGILState_STATE state_;
};

class [[nodiscard]] GilReleased {
 public:
  GilReleased() : state_(PyEval_SaveThread()) {}
  ~GilReleased() { PyEval_RestoreThread(state_); }
  GilReleased(const GilReleased&) = delete;
  GilReleased& operator=(const GilReleased&) = delete;

 private:
  PyThreadState* state_;
};

// Made and destroyed with the GIL held. Kept over non-blocking work between two calls: taking it
// again costs more when other threads want it.
class GilKeeper {
 public:
  GilKeeper() = default;
  ~GilKeeper() { Take(); }
  GilKeeper(const GilKeeper&) = delete;
  GilKeeper& operator=(const GilKeeper&) = delete;

  [[nodiscard]] bool held() const { return state_ == nullptr; }
  void Take() {
    if (state_ != nullptr) PyEval_RestoreThread(std::exchange(state_, nullptr));
  }
  void GiveUp() {
    if (state_ == nullptr) state_ = PyEval_SaveThread();
  }

 private:
  PyThreadState* state_ = nullptr;  // null: held
};

}  // namespace gunid

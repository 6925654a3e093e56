// One call of the application by PEP 3333: environ, start_response, iteration, close(), errors.
// Shared by all executor threads, whose GIL guards what changes in it: held by the caller of Run, and
// released by Run only where it would block on the client.
#pragma once

#include <functional>
#include <memory>

#include "engine/exchange.h"
#include "python/py_ref.h"

namespace gunid {

bool WaitForSocketWithoutGil(const Exchange& exchange);

struct WsgiOptions {
  bool multithread = false;  // wsgi.multithread
  bool multiprocess =
      true;  // wsgi.multiprocess: a server that can be scaled live is never alone for sure
  bool sendfile = true;  // use sendfile for wsgi.file_wrapper
  double write_timeout_s = 30;
  // Waits for a moment, or until the client has taken something, while others may run. GIL held.
  // False with a Python exception set: the request was ended.
  std::function<bool(const Exchange&)> wait_for_client = WaitForSocketWithoutGil;
  int errors_fd = 2;  // what wsgi.errors writes to; not owned
};

class WsgiCall {
 public:
  // Makes what is the same for every request: the base environ, interned keys, the types. Errors
  // are exceptions of the interpreter's own.
  static Result<std::unique_ptr<WsgiCall>> Create(PyRef application, const WsgiOptions& options);
  ~WsgiCall();

  // Runs the application for `exchange` and completes the response: Finish, Abort or SendError has
  // been called on return. Whatever the application raises (SystemExit, KeyboardInterrupt and
  // RecursionError included) is logged with its traceback and costs one 500, gunid.RequestTimeout
  // one 504, unless the response is out already; nothing propagates.
  void Run(Exchange& exchange);

 private:
  struct Context;
  struct Impl;
  explicit WsgiCall(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace gunid

// For the tests of server/python: Python snippets, temporary folders, and an application behind a
// real engine. The interpreter is started once per test program (interpreter_test.cc); the main
// thread holds the GIL.
#pragma once

#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "engine/executor.h"
#include "ipc/listeners.h"
#include "python/py_ref.h"
#include "python/wsgi_call.h"
#include "support/temporary_directory.h"

namespace gunid {

// A module's worth of Python code; its names stay for Eval.
class Snippet {
 public:
  explicit Snippet(const std::string& source);
  void Exec(const std::string& source);
  // str() of the expression, or "EXCEPTION: ..." if it raises.
  std::string Eval(const std::string& expression);
  PyRef Get(const char* name);
  void Set(const char* name, const PyRef& value);

 private:
  PyRef globals_;
};

// A folder that is the working directory and first on sys.path while it lives.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  void Write(const std::string& name, const std::string& text) const;
  [[nodiscard]] std::filesystem::path path() const { return directory_.path(); }

 private:
  const TemporaryDirectory directory_;
  const std::filesystem::path previous_;
};

// What is logged while it lives.
class CapturedLog {
 public:
  CapturedLog();
  ~CapturedLog();
  CapturedLog(const CapturedLog&) = delete;
  CapturedLog& operator=(const CapturedLog&) = delete;
  [[nodiscard]] std::string text() const { return stream_.str(); }

 private:
  std::ostringstream stream_;
  std::shared_ptr<spdlog::logger> previous_;
};

// Serves requests to the `app` of a snippet until each client has its answer.
class WsgiServer {
 public:
  explicit WsgiServer(Snippet& snippet, const WsgiOptions& options = {});

  // One connection per request, all at once: writes it, and reads until the server closes the
  // connection.
  std::vector<std::string> ServeAll(const std::vector<std::string>& requests, Executor& executor);
  std::string Serve(const std::string& request);  // by an inline executor
  // GET `target` by HTTP/1.1, closing; the whole response.
  std::string Get(const std::string& target = "/");
  // Reads `bytes` of the response and then closes the connection.
  void Abandon(const std::string& request, std::size_t bytes);

  WsgiCall& call() { return *call_; }
  EngineOptions& engine_options() { return engine_options_; }
  void ListenOn(const std::string& bind);  // instead of 127.0.0.1

 private:
  void Run(Executor& executor, std::vector<std::function<void()>> clients);
  int Connect() const;

  std::unique_ptr<WsgiCall> call_;
  EngineOptions engine_options_;
  std::vector<Listener> listeners_;
};

std::string BodyOf(const std::string& response);
std::string StatusOf(const std::string& response);  // "200 OK"
// The value of a response header; "" if there is none.
std::string HeaderOf(const std::string& response, const std::string& name);

}  // namespace gunid

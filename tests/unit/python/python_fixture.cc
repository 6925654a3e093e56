#include "python/python_fixture.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <thread>

#include "python/executor_inline.h"
#include "python/py_text.h"
#include "python/python_error.h"

namespace gunid {
namespace {

constexpr timeval kClientPatience = {10, 0};

std::string ReadAll(int socket) {
  std::string response;
  char buffer[65536];
  for (ssize_t got; (got = ::recv(socket, buffer, sizeof buffer, 0)) > 0;) {
    response.append(buffer, static_cast<std::size_t>(got));
  }
  return response;
}

void SendAll(int socket, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
}

}  // namespace

Snippet::Snippet(const std::string& source) : globals_(PyRef::Steal(PyDict_New())) {
  Exec(source);
}

void Snippet::Exec(const std::string& source) {
  const PyRef result =
      PyRef::Steal(PyRun_String(source.c_str(), Py_file_input, globals_.get(), globals_.get()));
  if (!result) ADD_FAILURE() << FetchPythonError().traceback;
}

std::string Snippet::Eval(const std::string& expression) {
  const PyRef result =
      PyRef::Steal(PyRun_String(expression.c_str(), Py_eval_input, globals_.get(), globals_.get()));
  if (!result) return "EXCEPTION: " + FetchPythonError().summary;
  return Utf8(PyRef::Steal(PyObject_Str(result.get())).get()).value_or("?");
}

PyRef Snippet::Get(const char* name) {
  return PyRef::Borrow(PyDict_GetItemString(globals_.get(), name));
}

void Snippet::Set(const char* name, const PyRef& value) {
  PyDict_SetItemString(globals_.get(), name, value.get());
}

TemporaryFolder::TemporaryFolder() : previous_(std::filesystem::current_path()) {
  std::filesystem::current_path(path());
  Snippet snippet("import importlib, sys\nimportlib.invalidate_caches()\n");
  snippet.Set("path", FileSystemText(directory_.path()));
  snippet.Exec("sys.path.insert(0, path)");
}

TemporaryFolder::~TemporaryFolder() {
  std::filesystem::current_path(previous_);
  Snippet snippet("import sys");
  snippet.Set("path", FileSystemText(directory_.path()));
  snippet.Exec(
      "sys.path.remove(path)\n"
      "for name, module in list(sys.modules.items()):\n"
      "    if (getattr(module, '__file__', None) or '').startswith(path):\n"
      "        del sys.modules[name]\n");
}

void TemporaryFolder::Write(const std::string& name, const std::string& text) const {
  std::filesystem::create_directories((path() / name).parent_path());
  std::ofstream(path() / name) << text;
}

CapturedLog::CapturedLog() : previous_(spdlog::default_logger()) {
  auto sink = std::make_shared<spdlog::sinks::ostream_sink_mt>(stream_);
  spdlog::set_default_logger(std::make_shared<spdlog::logger>("test", sink));
}

CapturedLog::~CapturedLog() {
  spdlog::set_default_logger(previous_);
}

WsgiServer::WsgiServer(Snippet& snippet, const WsgiOptions& options) {
  auto call = WsgiCall::Create(snippet.Get("app"), options);
  EXPECT_TRUE(call.ok());
  call_ = std::move(*call);
  ListenOn("127.0.0.1:0");
}

void WsgiServer::ListenOn(const std::string& bind) {
  auto address = ParseBind(bind);
  ASSERT_TRUE(address.ok()) << address.error().message;
  auto listener = OpenListener(*address, 64, 0);
  ASSERT_TRUE(listener.ok()) << listener.error().message;
  listeners_.clear();
  listeners_.push_back(std::move(*listener));
}

int WsgiServer::Connect() const {
  sockaddr_storage address{};
  socklen_t length = sizeof address;
  ::getsockname(listeners_[0].fd.get(), reinterpret_cast<sockaddr*>(&address), &length);
  const int socket = ::socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ::setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &kClientPatience, sizeof kClientPatience);
  EXPECT_EQ(0, ::connect(socket, reinterpret_cast<sockaddr*>(&address), length));
  return socket;
}

void WsgiServer::Run(Executor& executor, std::vector<std::function<void()>> clients) {
  auto scoreboard = Scoreboard::Create(1);
  ASSERT_TRUE(scoreboard.ok());
  std::vector<Listener> listeners;  // the engine closes them when it drains
  for (const Listener& listener : listeners_) {
    listeners.push_back({listener.address, UniqueFd(::dup(listener.fd.get()))});
  }
  Engine engine(engine_options_, listeners, executor, SlotWriter(scoreboard->slot(0)), {});
  std::atomic<std::size_t> running = clients.size();
  std::vector<std::thread> threads;
  for (const auto& client : clients) {
    threads.emplace_back([&engine, &running, &client] {
      client();
      if (--running == 0) engine.loop().Post([&engine] { engine.Drain(); });
    });
  }
  executor.Run(engine);
  for (std::thread& thread : threads) thread.join();
}

std::vector<std::string> WsgiServer::ServeAll(const std::vector<std::string>& requests,
                                              Executor& executor) {
  std::vector<std::string> responses(requests.size());
  std::vector<std::function<void()>> clients;
  for (std::size_t i = 0; i < requests.size(); ++i) {
    clients.push_back([this, &request = requests[i], &response = responses[i]] {
      const UniqueFd socket(Connect());
      SendAll(socket.get(), request);
      response = ReadAll(socket.get());
    });
  }
  Run(executor, std::move(clients));
  return responses;
}

std::string WsgiServer::Serve(const std::string& request) {
  InlineExecutor executor(*call_);
  return ServeAll({request}, executor)[0];
}

std::string WsgiServer::Get(const std::string& target) {
  return Serve("GET " + target + " HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
}

void WsgiServer::Abandon(const std::string& request, std::size_t bytes) {
  InlineExecutor executor(*call_);
  Run(executor, {[&] {
        const UniqueFd socket(Connect());
        SendAll(socket.get(), request);
        std::string buffer(bytes, '\0');
        ::recv(socket.get(), buffer.data(), buffer.size(), MSG_WAITALL);
      }});
}

std::string BodyOf(const std::string& response) {
  const auto end = response.find("\r\n\r\n");
  return end == std::string::npos ? "" : response.substr(end + 4);
}

std::string StatusOf(const std::string& response) {
  const auto end = response.find("\r\n");
  return response.size() < 9 ? "" : response.substr(9, end - 9);
}

std::string HeaderOf(const std::string& response, const std::string& name) {
  const std::string head = response.substr(0, response.find("\r\n\r\n") + 2);
  const std::string start = "\r\n" + name + ": ";
  const auto found = head.find(start);
  if (found == std::string::npos) return "";
  const auto value = found + start.size();
  return head.substr(value, head.find("\r\n", value) - value);
}

}  // namespace gunid

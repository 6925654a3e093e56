#include "python/executor_threads.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "python/python_fixture.h"

namespace gunid {
namespace {

constexpr char kGet[] = "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";

TEST(ThreadExecutor, RunsRequestsAtTheSameTime) {
  Snippet snippet(
      "import threading\n"
      "barrier = threading.Barrier(4)\n"
      "def app(e, s):\n"
      "  barrier.wait(20)\n"
      "  s('200 OK', [])\n"
      "  return [b'all here']\n");
  WsgiServer server(snippet);
  ThreadExecutor executor(server.call(), 4);
  for (const std::string& response : server.ServeAll(std::vector<std::string>(8, kGet), executor)) {
    EXPECT_EQ("all here", BodyOf(response));
  }
}

TEST(ThreadExecutor, KeepsThreadStateBetweenRequests) {
  Snippet snippet(
      "import threading\n"
      "local = threading.local()\n"
      "counts = {}\n"
      "def app(e, s):\n"
      "  local.count = getattr(local, 'count', 0) + 1\n"
      "  counts.setdefault(threading.current_thread().name, []).append(local.count)\n"
      "  s('200 OK', [])\n"
      "  return [b'counted']\n");
  WsgiServer server(snippet);
  ThreadExecutor executor(server.call(), 1);
  for (const std::string& response : server.ServeAll(std::vector<std::string>(5, kGet), executor)) {
    EXPECT_EQ("counted", BodyOf(response));
  }
  // One call at a time, on two threads that take turns.
  EXPECT_EQ("True", snippet.Eval("len(counts) in (1, 2)"));
  EXPECT_EQ("5", snippet.Eval("sum(len(each) for each in counts.values())"));
  EXPECT_EQ("True",
            snippet.Eval("all(each == list(range(1, len(each) + 1)) for each in counts.values())"));
  EXPECT_EQ("False", snippet.Eval("'MainThread' in counts"));
}

TEST(ThreadExecutor, ServesMoreThanItHasThreads) {
  Snippet snippet(
      "import time\n"
      "def app(e, s):\n"
      "  time.sleep(0.002)\n"
      "  s('200 OK', [])\n"
      "  return (b'x' * 10000 for i in range(100))\n");
  WsgiServer server(snippet);
  ThreadExecutor executor(server.call(), 3);
  const std::string request = "GET / HTTP/1.0\r\n\r\n";
  for (const std::string& response :
       server.ServeAll(std::vector<std::string>(30, request), executor)) {
    EXPECT_EQ(1'000'000U, BodyOf(response).size());
  }
}

TEST(ThreadExecutor, GivesTheGilBackToTheMainThread) {
  Snippet snippet("def app(e, s): pass");
  WsgiServer server(snippet);
  ThreadExecutor executor(server.call(), 2);
  server.ServeAll({kGet}, executor);
  EXPECT_EQ(1, PyGILState_Check());
}

}  // namespace
}  // namespace gunid

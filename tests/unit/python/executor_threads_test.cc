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
      "names = set()\n"
      "def app(e, s):\n"
      "  local.count = getattr(local, 'count', 0) + 1\n"
      "  names.add(threading.current_thread().name)\n"
      "  s('200 OK', [])\n"
      "  return [str(local.count).encode()]\n");
  WsgiServer server(snippet);
  ThreadExecutor executor(server.call(), 1);
  std::vector<std::string> counts;
  for (const std::string& response : server.ServeAll(std::vector<std::string>(5, kGet), executor)) {
    counts.push_back(BodyOf(response));
  }
  EXPECT_THAT(counts, ::testing::UnorderedElementsAre("1", "2", "3", "4", "5"));
  EXPECT_EQ("1", snippet.Eval("len(names)"));
  EXPECT_EQ("False", snippet.Eval("'MainThread' in names"));
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

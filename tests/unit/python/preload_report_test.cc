#include "python/preload_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "python/python_fixture.h"

namespace gunid {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST(PreloadReport, NamesThreadsThatAreAliveAndWhereTheyWereStarted) {
  const TemporaryFolder folder;
  folder.Write("with_thread.py",
               "import threading\n"
               "stop = threading.Event()\n"
               "def start_ticker():\n"
               "    threading.Thread(target=stop.wait, name='ticker').start()\n"
               "start_ticker()\n"
               "ended = threading.Thread(target=int)\n"
               "ended.start()\n"
               "ended.join()\n");
  PreloadReport report;
  Snippet snippet("import with_thread");
  EXPECT_THAT(report.Finish(), ElementsAre(AllOf(HasSubstr("thread 'ticker'"),
                                                 HasSubstr("/with_thread.py:4 in start_ticker"))));
  snippet.Exec(
      "import threading\n"
      "with_thread.stop.set()\n"
      "[t.join() for t in threading.enumerate() if t.name == 'ticker']");
}

TEST(PreloadReport, NamesSocketsThatAreOpenAndWhatTheyAreConnectedTo) {
  const TemporaryFolder folder;
  folder.Write("with_socket.py",
               "import socket\n"
               "server = socket.create_server(('127.0.0.1', 0))\n"
               "def connect():\n"
               "    return socket.create_connection(server.getsockname())\n"
               "client = connect()\n"
               "closed = connect()\n"
               "closed.close()\n"
               "port = server.getsockname()[1]\n");
  PreloadReport report;
  Snippet snippet("import with_socket");
  const std::string port = snippet.Eval("with_socket.port");
  EXPECT_THAT(report.Finish(), ElementsAre(AllOf(HasSubstr("/with_socket.py:2 in <module>"),
                                                 HasSubstr("listening at 127.0.0.1:" + port)),
                                           AllOf(HasSubstr("/with_socket.py:4 in connect"),
                                                 HasSubstr("connected to 127.0.0.1:" + port))));
  snippet.Exec("with_socket.client.close(); with_socket.server.close()");
}

TEST(PreloadReport, NamesSocketsOfCCode) {
  PreloadReport report;
  Snippet snippet(
      "import _socket, os\n"
      "s = _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM)\n"
      "s.connect(('127.0.0.1', 5432))\n"
      "fd = s.detach()");
  EXPECT_THAT(report.Finish(), ElementsAre(AllOf(HasSubstr("made by C code"),
                                                 HasSubstr("connected to 127.0.0.1:5432"))));
  snippet.Exec("os.close(fd)");
}

TEST(PreloadReport, LeavesNothingBehind) {
  Snippet snippet(
      "import threading, socket\n"
      "start, init = threading.Thread.start, socket.socket.__init__\n"
      "before = socket.socket()");
  PreloadReport report;
  EXPECT_EQ(snippet.Eval("threading.Thread.start is start"), "False");
  EXPECT_THAT(report.Finish(), IsEmpty());
  EXPECT_EQ(snippet.Eval("threading.Thread.start is start"), "True");
  EXPECT_EQ(snippet.Eval("socket.socket.__init__ is init"), "True");
  snippet.Exec("before.close()");
}

}  // namespace
}  // namespace gunid

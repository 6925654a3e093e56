#include "ipc/inherited_sockets.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>

namespace gunid {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

class InheritedSocketsTest : public testing::Test {
 protected:
  ~InheritedSocketsTest() override {
    for (const char* name : {"LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"}) unsetenv(name);
  }
};

// A number that the object may close in the end.
int OpenSocket() {
  return OpenListener(*ParseBind("127.0.0.1:0"), 16, 0)->fd.Release();
}

TEST_F(InheritedSocketsTest, ASocketThatWasOpenCanBeOpenedAgain) {
  const int number = OpenSocket();
  fcntl(number, F_SETFD, 0);
  const auto inherited = InheritedSockets::Take();
  ASSERT_TRUE(inherited) << inherited.error().message;
  EXPECT_THAT(inherited->activated(), IsEmpty());
  EXPECT_EQ(fcntl(number, F_GETFD), FD_CLOEXEC);
  const auto listener = inherited->Open(number);
  ASSERT_TRUE(listener) << listener.error().message;
  EXPECT_EQ(listener->address.host, "127.0.0.1");
  EXPECT_NE(listener->address.port, 0);
  EXPECT_NE(listener->fd.get(), number);
  EXPECT_EQ(fcntl(listener->fd.get(), F_GETFD), FD_CLOEXEC);
  EXPECT_NE(fcntl(listener->fd.get(), F_GETFL) & O_NONBLOCK, 0);
}

TEST_F(InheritedSocketsTest, WhatWasNotInheritedIsRefused) {
  const auto inherited = InheritedSockets::Take();
  ASSERT_TRUE(inherited);
  const UniqueFd late(OpenSocket());
  const auto listener = inherited->Open(late.get());
  ASSERT_FALSE(listener);
  EXPECT_THAT(listener.error().message, HasSubstr(std::to_string(late.get())));
}

TEST_F(InheritedSocketsTest, VariablesOfAnotherProcessAreRemovedAndMeanNothing) {
  setenv("LISTEN_PID", "1", 1);
  setenv("LISTEN_FDS", "1", 1);
  setenv("LISTEN_FDNAMES", "web", 1);
  const auto inherited = InheritedSockets::Take();
  ASSERT_TRUE(inherited) << inherited.error().message;
  EXPECT_THAT(inherited->activated(), IsEmpty());
  for (const char* name : {"LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"})
    EXPECT_EQ(std::getenv(name), nullptr) << name;
}

TEST_F(InheritedSocketsTest, ANumberThatIsNoneIsNamed) {
  setenv("LISTEN_PID", std::to_string(getpid()).c_str(), 1);
  for (const char* value : {"", "x", "-1", "1000000"}) {
    setenv("LISTEN_PID", std::to_string(getpid()).c_str(), 1);
    setenv("LISTEN_FDS", value, 1);
    const auto inherited = InheritedSockets::Take();
    ASSERT_FALSE(inherited) << value;
    EXPECT_THAT(inherited.error().message,
                HasSubstr("'" + std::string(value) + "' for LISTEN_FDS"));
  }
}

}  // namespace
}  // namespace gunid

#include "base/shared_memory.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstring>

namespace gunid {
namespace {

TEST(SharedMemory, IsSharedThroughItsDescriptor) {
  auto memory = SharedMemory::Create("test", 8192);
  ASSERT_TRUE(memory);
  EXPECT_EQ(memory->size(), 8192U);
  auto attached = SharedMemory::Attach(UniqueFd(dup(memory->fd())));
  ASSERT_TRUE(attached);
  EXPECT_NE(attached->data(), memory->data());
  EXPECT_EQ(attached->size(), 8192U);
  std::strcpy(static_cast<char*>(attached->data()), "hello");
  EXPECT_STREQ(static_cast<char*>(memory->data()), "hello");
}

TEST(SharedMemory, IsSharedAcrossAFork) {
  auto memory = SharedMemory::Create("test", 64);
  ASSERT_TRUE(memory);
  const pid_t pid = fork();
  if (pid == 0) {
    std::strcpy(static_cast<char*>(memory->data()), "child");
    _exit(0);
  }
  ASSERT_EQ(waitpid(pid, nullptr, 0), pid);
  EXPECT_STREQ(static_cast<char*>(memory->data()), "child");
}

TEST(SharedMemory, CannotBeResized) {
  auto memory = SharedMemory::Create("test", 4096);
  ASSERT_TRUE(memory);
  EXPECT_EQ(ftruncate(memory->fd(), 1), -1);
  EXPECT_EQ(errno, EPERM);
}

TEST(SharedMemory, MoveLeavesNothingBehind) {
  auto memory = SharedMemory::Create("test", 4096);
  ASSERT_TRUE(memory);
  void* data = memory->data();
  const SharedMemory moved = std::move(*memory);
  EXPECT_EQ(moved.data(), data);
  EXPECT_EQ(memory->data(), nullptr);
  EXPECT_EQ(memory->fd(), -1);
}

TEST(SharedMemory, AttachRefusesWhatCannotBeMapped) {
  EXPECT_FALSE(SharedMemory::Attach(UniqueFd()));
  EXPECT_FALSE(SharedMemory::Attach(UniqueFd(open("/dev/null", O_RDWR | O_CLOEXEC))));
}

}  // namespace
}  // namespace gunid

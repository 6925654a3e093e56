#include "supervisor/oom_watch.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "support/temporary_directory.h"

namespace gunid {
namespace {

class OomWatchTest : public testing::Test {
 protected:
  void Write(const std::string& path, const std::string& text) {
    const std::filesystem::path file = root_.path() + path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text;
  }

  TemporaryDirectory root_;
};

TEST_F(OomWatchTest, CountsTheKillsOfItsCgroupOnce) {
  Write("/proc/self/cgroup", "0::/shop.service\n");
  const std::string events = "/sys/fs/cgroup/shop.service/memory.events";
  Write(events, "low 0\nhigh 0\nmax 7\noom 3\noom_kill 2\noom_group_kill 0\n");
  OomWatch watch(root_.path());
  EXPECT_EQ(watch.file(), root_.path() + events);
  EXPECT_FALSE(watch.TakeKill()) << "those were before";
  Write(events, "low 0\nhigh 0\nmax 9\noom 5\noom_kill 4\noom_group_kill 0\n");
  EXPECT_TRUE(watch.TakeKill());
  EXPECT_TRUE(watch.TakeKill());
  EXPECT_FALSE(watch.TakeKill());
}

TEST_F(OomWatchTest, OldKillsWereOfOtherProcesses) {
  Write("/proc/self/cgroup", "0::/shop\n");
  const std::string events = "/sys/fs/cgroup/shop/memory.events";
  Write(events, "oom_kill 2\n");
  OomWatch watch(root_.path());
  Write(events, "oom_kill 4\n");
  watch.ForgetOldKills();
  EXPECT_TRUE(watch.TakeKill()) << "it has been counted just now";
  watch.ForgetOldKills();
  EXPECT_FALSE(watch.TakeKill());
  Write(events, "oom_kill 5\n");
  EXPECT_TRUE(watch.TakeKill());
}

TEST_F(OomWatchTest, KnowsTheFirstVersionOfCgroups) {
  Write("/proc/self/cgroup", "5:cpu,cpuacct:/x\n4:memory:/shop\n0::/\n");
  Write("/sys/fs/cgroup/memory/shop/memory.oom_control",
        "oom_kill_disable 0\nunder_oom 0\noom_kill 0\n");
  Write("/proc/vmstat", "oom_kill 8\n");
  EXPECT_EQ(OomWatch(root_.path()).file(),
            root_.path() + "/sys/fs/cgroup/memory/shop/memory.oom_control");
}

TEST_F(OomWatchTest, InAContainerTheMountIsTheCgroup) {
  Write("/proc/self/cgroup", "0::/../../docker/4711\n");
  Write("/sys/fs/cgroup/memory.events", "oom_kill 0\n");
  EXPECT_EQ(OomWatch(root_.path()).file(), root_.path() + "/sys/fs/cgroup/memory.events");
}

TEST_F(OomWatchTest, WithoutACgroupItIsTheMachine) {
  Write("/proc/self/cgroup", "0::/\n");
  Write("/proc/vmstat", "nr_free_pages 17\noom_kill 8\n");
  OomWatch watch(root_.path());
  EXPECT_EQ(watch.file(), root_.path() + "/proc/vmstat");
  EXPECT_FALSE(watch.TakeKill());
  Write("/proc/vmstat", "nr_free_pages 17\noom_kill 9\n");
  EXPECT_TRUE(watch.TakeKill());
}

TEST_F(OomWatchTest, WithoutAnyCounterNobodyKnows) {
  OomWatch watch(root_.path());
  EXPECT_EQ(watch.file(), "");
  EXPECT_FALSE(watch.TakeKill());
}

}  // namespace
}  // namespace gunid

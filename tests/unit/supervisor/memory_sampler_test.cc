#include "supervisor/memory_sampler.h"

#include <gtest/gtest.h>
#include <unistd.h>

namespace gunid {
namespace {

TEST(ParseSmapsRollup, AsTheKernelWritesIt) {
  const MemorySample sample = ParseSmapsRollup(
      "55d0c0000000-7ffd5e5fe000 ---p 00000000 00:00 0   [rollup]\n"
      "Rss:               30568 kB\n"
      "Pss:               12345 kB\n"
      "Pss_Anon:           7000 kB\n"
      "Shared_Clean:       8000 kB\n"
      "Private_Clean:       100 kB\n"
      "Private_Dirty:       200 kB\n");
  EXPECT_EQ(sample.rss, 30568U * 1024);
  EXPECT_EQ(sample.pss, 12345U * 1024);
  EXPECT_EQ(sample.unshared, 300U * 1024);
}

TEST(ParseSmapsRollup, WhatSaysNothingIsNothing) {
  for (const char* text : {"", "Rss:", "Rss: many kB\n", "\n\n"}) {
    const MemorySample sample = ParseSmapsRollup(text);
    EXPECT_EQ(sample.rss + sample.pss + sample.unshared, 0U) << text;
  }
}

class MemorySamplerTest : public testing::Test {
 protected:
  class SetClock : public Clock {
   public:
    [[nodiscard]] TimePoint Now() const override { return now; }
    TimePoint now{std::chrono::hours(1)};
  };

  MemorySamples Ask(const std::vector<int>& pids) {
    std::optional<MemorySamples> answer;
    sampler.Sample(pids, [&](const MemorySamples& samples) { answer = samples; });
    while (!answer) loop.RunOnce();
    return *answer;
  }

  EventLoop loop;
  SetClock clock;
  MemorySampler sampler{loop, clock};
};

TEST_F(MemorySamplerTest, ReadsLivingProcesses) {
  const MemorySamples samples = Ask({getpid(), 999999999});
  EXPECT_GT(samples.at(getpid()).rss, 1024U * 1024);
  EXPECT_LE(samples.at(getpid()).pss, samples.at(getpid()).rss);
  EXPECT_EQ(samples.at(999999999).rss, 0U);
}

TEST_F(MemorySamplerTest, FreshSamplesAreUsedAgain) {
  Ask({getpid()});
  bool at_once = false;
  sampler.Sample({getpid()}, [&](const MemorySamples& /*samples*/) { at_once = true; });
  EXPECT_TRUE(at_once);

  clock.now += MemorySampler::kFresh + Nanoseconds(1);
  at_once = false;
  sampler.Sample({getpid()}, [&](const MemorySamples& /*samples*/) { at_once = true; });
  EXPECT_FALSE(at_once);
  while (!at_once) loop.RunOnce();

  // Of another process there is none.
  at_once = false;
  sampler.Sample({getpid(), getppid()}, [&](const MemorySamples& /*samples*/) { at_once = true; });
  EXPECT_FALSE(at_once);
  while (!at_once) loop.RunOnce();
}

TEST_F(MemorySamplerTest, WhoAsksDuringARoundIsAnsweredForHisOwnProcesses) {
  int answers = 0;
  sampler.Sample({getpid()}, [&](const MemorySamples& /*samples*/) { ++answers; });
  sampler.Sample({getppid()}, [&](const MemorySamples& samples) {
    EXPECT_TRUE(samples.contains(getppid()));
    ++answers;
  });
  while (answers < 2) loop.RunOnce();
}

}  // namespace
}  // namespace gunid

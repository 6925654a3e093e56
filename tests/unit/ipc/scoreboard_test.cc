#include "ipc/scoreboard.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <set>
#include <thread>

#include "config/settings_table.h"

namespace gunid {
namespace {

class ScoreboardTest : public testing::Test {
 protected:
  Scoreboard board_ = std::move(*Scoreboard::Create(3));
  SlotWriter writer_{board_.slot(1)};

  std::vector<std::string> Texts(int slot = 1) {
    std::vector<std::string> texts;
    for (const RequestInFlight& request : board_.Requests(slot)) texts.push_back(request.text);
    return texts;
  }
};

TEST_F(ScoreboardTest, StartsEmpty) {
  EXPECT_EQ(board_.slot_count(), 3);
  for (int slot = 0; slot < 3; ++slot) {
    EXPECT_EQ(board_.Heartbeat(slot), 0U);
    EXPECT_EQ(board_.InFlight(slot), 0);
    EXPECT_EQ(board_.Counters(slot).requests, 0U);
    EXPECT_TRUE(board_.Requests(slot).empty());
  }
}

TEST_F(ScoreboardTest, ShowsARequestWhileItRuns) {
  const int entry = writer_.BeginRequest({"GET", "/slow", "", 1, 42});
  ASSERT_GE(entry, 0);
  const auto requests = board_.Requests(1);
  ASSERT_EQ(requests.size(), 1U);
  EXPECT_EQ(requests[0].start_ns, 42U);
  EXPECT_EQ(requests[0].text, "GET /slow");
  EXPECT_EQ(board_.InFlight(1), 1);
  writer_.EndRequest(entry, 200, 5);
  EXPECT_TRUE(board_.Requests(1).empty());
  EXPECT_EQ(board_.InFlight(1), 0);
}

TEST_F(ScoreboardTest, APostponedRequestIsYounger) {
  const int entry = writer_.BeginRequest({"GET", "/", "", 1, 42});
  writer_.PostponeRequest(entry, 8);
  writer_.PostponeRequest(-1, 8);  // one that no entry shows
  ASSERT_EQ(board_.Requests(1).size(), 1U);
  EXPECT_EQ(board_.Requests(1)[0].start_ns, 50U);
  writer_.EndRequest(entry, 200, 5);
  EXPECT_TRUE(board_.Requests(1).empty());
}

TEST_F(ScoreboardTest, ShowsAlsoOnlyThoseThatStartedBefore) {
  for (const std::uint64_t serial : {1, 2, 3}) {
    writer_.BeginRequest({"GET", "/", "", serial, 100 * serial});
  }
  EXPECT_TRUE(board_.Requests(1, 0).empty());
  EXPECT_TRUE(board_.Requests(1, 100).empty());
  ASSERT_EQ(board_.Requests(1, 300).size(), 2U);
  EXPECT_EQ(board_.Requests(1, 300)[1].serial, 2U);
  EXPECT_EQ(board_.Requests(1, 301).size(), 3U);
}

TEST_F(ScoreboardTest, ARequestIsSeenAlsoWhileItIsPostponed) {
  const int entry = writer_.BeginRequest({"GET", "/", "", 7, 1});
  std::atomic<bool> done = false;
  std::thread writer([&] {
    while (!done) writer_.PostponeRequest(entry, 1);
  });
  int seen = 0;
  for (int i = 0; i < 10'000; ++i) {
    const auto requests = board_.Requests(1);
    seen += requests.size() == 1 && requests[0].serial == 7 ? 1 : 0;
  }
  done = true;
  writer.join();
  EXPECT_EQ(seen, 10'000);
}

TEST_F(ScoreboardTest, CountsPerSlot) {
  writer_.Heartbeat(99);
  writer_.ConnectionAccepted();
  for (const int status : {200, 404, 499, 500, 503})
    writer_.EndRequest(writer_.BeginRequest({"GET", "/", "", 1, 1}), status, 10);
  const SlotCounters counters = board_.Counters(1);
  EXPECT_EQ(counters.requests, 5U);
  EXPECT_EQ(counters.server_errors, 2U);
  EXPECT_EQ(counters.bytes_sent, 50U);
  EXPECT_EQ(counters.connections, 1U);
  EXPECT_EQ(board_.Heartbeat(1), 99U);
  EXPECT_EQ(board_.Counters(0).requests, 0U);
  EXPECT_EQ(board_.Counters(2).requests, 0U);
}

TEST_F(ScoreboardTest, CountersAddUp) {
  SlotCounters sum{1, 2, 3, 4};
  sum += SlotCounters{10, 20, 30, 40};
  EXPECT_EQ(sum.requests, 11U);
  EXPECT_EQ(sum.server_errors, 22U);
  EXPECT_EQ(sum.bytes_sent, 33U);
  EXPECT_EQ(sum.connections, 44U);
}

TEST_F(ScoreboardTest, CutsLongTexts) {
  const std::string path = "/" + std::string(5000, 'x');
  writer_.BeginRequest({"GET", path, "", 1, 1});
  writer_.BeginRequest({std::string(100, 'M'), path, "", 1, 1});
  const auto texts = Texts();
  ASSERT_EQ(texts.size(), 2U);
  EXPECT_EQ(texts[0], ("GET " + path).substr(0, 167));
  EXPECT_EQ(texts[1], (std::string(33, 'M') + " " + path).substr(0, 167));
}

TEST_F(ScoreboardTest, AShortTextLeavesNothingOfTheLongOneBefore) {
  writer_.EndRequest(writer_.BeginRequest({"DELETE", "/a/rather/long/path/to/something", "", 1, 1}),
                     200, 0);
  for (const char* path : {"", "/", "/ab", "/abc", "/abcd"}) {
    const int entry = writer_.BeginRequest({"GET", path, "", 1, 1});
    EXPECT_THAT(Texts(), testing::ElementsAre(std::string("GET ") + path));
    writer_.EndRequest(entry, 200, 0);
  }
}

TEST_F(ScoreboardTest, ShowsAsManyRequestsAsThereAreEntries) {
  std::set<int> entries;
  for (int i = 0; i < kMaxInFlight; ++i)
    entries.insert(writer_.BeginRequest({"GET", "/" + std::to_string(i), "", 1, 1}));
  EXPECT_EQ(entries.size(), static_cast<std::size_t>(kMaxInFlight));
  EXPECT_EQ(*entries.begin(), 0);
  EXPECT_EQ(*entries.rbegin(), kMaxInFlight - 1);

  const int more = writer_.BeginRequest({"GET", "/more", "", 1, 1});
  EXPECT_EQ(more, -1);
  EXPECT_EQ(board_.InFlight(1), kMaxInFlight + 1);
  EXPECT_EQ(Texts().size(), static_cast<std::size_t>(kMaxInFlight));
  writer_.EndRequest(more, 200, 0);
  EXPECT_EQ(board_.InFlight(1), kMaxInFlight);

  writer_.EndRequest(70, 200, 0);
  EXPECT_EQ(writer_.BeginRequest({"GET", "/again", "", 1, 1}), 70);
}

TEST_F(ScoreboardTest, ASlotHasAnEntryForEachThread) {
  EXPECT_EQ(FindSetting("threads")->max, 128);
}

TEST_F(ScoreboardTest, ClearMakesTheSlotNew) {
  writer_.Heartbeat(1);
  writer_.ConnectionAccepted();
  writer_.BeginRequest({"GET", "/first", "", 1, 1});
  writer_.EndRequest(writer_.BeginRequest({"GET", "/second", "", 1, 1}), 500, 10);
  writer_.BeginRequest({"GET", "/third", "", 1, 1});
  board_.slot(1).entries[1].sequence.fetch_add(1);  // died while it wrote
  board_.Clear(1);
  EXPECT_EQ(board_.Heartbeat(1), 0U);
  EXPECT_EQ(board_.InFlight(1), 0);
  EXPECT_EQ(board_.Counters(1).requests, 0U);
  EXPECT_EQ(board_.Counters(1).connections, 0U);

  SlotWriter next(board_.slot(1));
  EXPECT_EQ(next.BeginRequest({"POST", "/new", "", 1, 7}), 0);
  EXPECT_THAT(Texts(), testing::ElementsAre("POST /new"));
}

TEST_F(ScoreboardTest, AWriterThatDiedInTheMiddleLeavesNoText) {
  writer_.BeginRequest({"GET", "/x", "", 1, 1});
  board_.slot(1).entries[0].sequence.fetch_add(1);
  EXPECT_THAT(Texts(), testing::ElementsAre(""));
}

TEST_F(ScoreboardTest, IsSharedAcrossAFork) {
  const pid_t pid = fork();
  if (pid == 0) {
    auto attached = Scoreboard::Attach(UniqueFd(dup(board_.fd())));
    if (!attached || attached->slot_count() != 3) _exit(1);
    SlotWriter writer(attached->slot(2));
    writer.Heartbeat(5);
    writer.BeginRequest({"GET", "/child", "", 1, 6});
    _exit(0);
  }
  int status = -1;
  ASSERT_EQ(waitpid(pid, &status, 0), pid);
  ASSERT_EQ(status, 0);
  EXPECT_EQ(board_.Heartbeat(2), 5U);
  EXPECT_THAT(Texts(2), testing::ElementsAre("GET /child"));
}

TEST_F(ScoreboardTest, AttachRefusesAnotherLayout) {
  EXPECT_FALSE(Scoreboard::Attach(UniqueFd(open("/dev/null", O_RDWR | O_CLOEXEC))));
  auto small = SharedMemory::Create("small", 16);
  EXPECT_FALSE(Scoreboard::Attach(UniqueFd(dup(small->fd()))));
  auto zeros = SharedMemory::Create("zeros", 65536);
  EXPECT_FALSE(Scoreboard::Attach(UniqueFd(dup(zeros->fd()))));

  auto memory = SharedMemory::Attach(UniqueFd(dup(board_.fd())));
  auto* header = static_cast<ScoreboardHeader*>(memory->data());
  EXPECT_TRUE(Scoreboard::Attach(UniqueFd(dup(board_.fd()))));
  header->slot_count = 4;  // more than there is room for
  EXPECT_FALSE(Scoreboard::Attach(UniqueFd(dup(board_.fd()))));
  header->slot_count = 3;
  header->version = kScoreboardVersion + 1;
  EXPECT_FALSE(Scoreboard::Attach(UniqueFd(dup(board_.fd()))));
}

// Every text is one repeated letter, as many of it as start_ns says: a mixture of two is torn.
TEST_F(ScoreboardTest, AReaderNeverSeesTornText) {
  std::atomic<bool> done = false;
  std::thread worker([&] {
    for (std::uint64_t i = 0; !done.load(std::memory_order_relaxed); ++i) {
      const std::uint64_t size = 1 + i % 100;
      const std::string path(size, static_cast<char>('a' + i % 26));
      writer_.EndRequest(writer_.BeginRequest({"GET", path, "", 1, size}), 200, 0);
    }
  });
  int seen = 0;
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (seen < 2000 && std::chrono::steady_clock::now() < give_up) {
    for (const RequestInFlight& request : board_.Requests(1)) {
      if (request.text.empty()) continue;
      ++seen;
      const std::string path = request.text.substr(4);
      if (path != std::string(request.start_ns, path[0])) {
        ADD_FAILURE() << request.start_ns << " " << request.text;
        seen = 2000;
      }
    }
  }
  done = true;
  worker.join();
  EXPECT_GE(seen, 2000);
}

}  // namespace
}  // namespace gunid

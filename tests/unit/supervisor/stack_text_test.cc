#include "supervisor/stack_text.h"

#include <gtest/gtest.h>

namespace gunid {
namespace {

struct Row {
  const char* what;
  const char* text;
  std::vector<StackBlock> blocks;
};

bool Same(const StackBlock& a, const StackBlock& b) {
  return a.name == b.name && a.greenlet == b.greenlet && a.ident == b.ident &&
         a.serial == b.serial && a.stack == b.stack;
}

const std::vector<Row> kTable = {
    {"nothing", "", {}},
    {"one thread",
     "Current thread 0x00007f5d2e7fc740 (most recent call first):\n"
     "  File \"/srv/app.py\", line 3 in spin\n"
     "  File \"/srv/app.py\", line 9 in app\n",
     {{.name = "Thread 0x00007f5d2e7fc740",
       .ident = 0x7f5d2e7fc740,
       .stack = "  File \"/srv/app.py\", line 3 in spin\n  File \"/srv/app.py\", line 9 in app"}}},
    {"several threads",
     "Thread 0x00000000000000a1 (most recent call first):\n"
     "  File \"a.py\", line 1 in a\n"
     "\n"
     "Current thread 0x00000000000000a2 (most recent call first):\n"
     "  <no Python frame>\n",
     {{.name = "Thread 0x00000000000000a1", .ident = 0xa1, .stack = "  File \"a.py\", line 1 in a"},
      {.name = "Thread 0x00000000000000a2", .ident = 0xa2, .stack = "  <no Python frame>"}}},
    {"a thread with a name, as later Pythons write it",
     "Thread 0x00000000000000a1 [worker: 1] (most recent call first):\n"
     "  File \"a.py\", line 1 in a\n",
     {{.name = "Thread 0x00000000000000a1",
       .ident = 0xa1,
       .stack = "  File \"a.py\", line 1 in a"}}},
    {"a collector at work",
     "Thread 0x00000000000000a1 (most recent call first):\n"
     "  Garbage-collecting\n"
     "  File \"a.py\", line 1 in a\n",
     {{.name = "Thread 0x00000000000000a1",
       .ident = 0xa1,
       .stack = "  Garbage-collecting\n  File \"a.py\", line 1 in a"}}},
    {"too many frames, and too many threads",
     "Thread 0x00000000000000a1 (most recent call first):\n"
     "  File \"a.py\", line 1 in a\n"
     "  ...\n"
     "...\n",
     {{.name = "Thread 0x00000000000000a1",
       .ident = 0xa1,
       .stack = "  File \"a.py\", line 1 in a\n  ..."}}},
    {"greenlets",
     "Greenlet 0x00007f00000000b1 (request 17) (most recent call first):\n"
     "  File \"a.py\", line 1 in a\n"
     "\n"
     "Greenlet 0x00007f00000000b2 (most recent call first):\n"
     "  File \"b.py\", line 2 in b\n",
     {{.name = "Greenlet 0x00007f00000000b1",
       .greenlet = true,
       .ident = 0x7f00000000b1,
       .serial = 17,
       .stack = "  File \"a.py\", line 1 in a"},
      {.name = "Greenlet 0x00007f00000000b2",
       .greenlet = true,
       .ident = 0x7f00000000b2,
       .stack = "  File \"b.py\", line 2 in b"}}},
    {"a serial that is none",
     "Greenlet 0x1 (request 99999999999999999999) (most recent call first):\n"
     "Greenlet 0x2 (request 12 (most recent call first):\n"
     "Greenlet 0x3 (request x) (most recent call first):\n",
     {{.name = "Greenlet 0x1", .greenlet = true, .ident = 1},
      {.name = "Greenlet 0x2", .greenlet = true, .ident = 2},
      {.name = "Greenlet 0x3", .greenlet = true, .ident = 3}}},
    {"an end in the middle of a line",
     "Thread 0x00000000000000a1 (most recent call first):\n  File \"a.py\", li",
     {{.name = "Thread 0x00000000000000a1", .ident = 0xa1, .stack = "  File \"a.py\", li"}}},
    {"a start in the middle of a block",
     "  File \"a.py\", line 1 in a\nThread 0x00000000000000a1 (most recent call first):\n",
     {{.name = "Thread 0x00000000000000a1", .ident = 0xa1}}},
    {"a header that is cut", "Thread 0x00000000000000a1 (most rec", {}},
    {"headers that are none",
     "Thread 0x:\nThread 0xzz (most recent call first):\nThread 12:\nThreads 0x12:\n"
     "Greenlet:\n  File \"a.py\", line 1 in a\n:\n",
     {}},
    {"a number that is too large", "Thread 0x1ffffffffffffffff (most recent call first):\n", {}},
    {"garbage between blocks",
     "Thread 0x1 (most recent call first):\n  File \"a\", line 1 in a\nwhat is this\n"
     "  File \"b\", line 1 in b\n\xff\xfe\n",
     {{.name = "Thread 0x1", .ident = 1, .stack = "  File \"a\", line 1 in a"}}},
    {"bytes that are not UTF-8",
     "Thread 0x1 (most recent call first):\n  File \"caf\xe9.py\", line 1 in a\n",
     {{.name = "Thread 0x1", .ident = 1, .stack = "  File \"caf\xe9.py\", line 1 in a"}}},
};

TEST(ParseStacks, FollowsTheTable) {
  for (const Row& row : kTable) {
    SCOPED_TRACE(row.what);
    const auto blocks = ParseStacks(row.text);
    ASSERT_EQ(blocks.size(), row.blocks.size());
    for (std::size_t i = 0; i < blocks.size(); ++i) {
      EXPECT_TRUE(Same(blocks[i], row.blocks[i])) << blocks[i].name << "\n" << blocks[i].stack;
    }
  }
}

TEST(FindStack, FindsTheThreadOfARequest) {
  const auto blocks = ParseStacks(
      "Thread 0x00000000000000a1 (most recent call first):\n  File \"a.py\", line 1 in a\n\n"
      "Thread 0x00000000000000a2 (most recent call first):\n  File \"b.py\", line 1 in b\n");
  ASSERT_NE(FindStack(blocks, 5, 0xa2), nullptr);
  EXPECT_EQ(FindStack(blocks, 5, 0xa2)->ident, 0xa2U);
  EXPECT_EQ(FindStack(blocks, 5, 0xa3), nullptr);
  EXPECT_EQ(FindStack({}, 5, 0xa2), nullptr);
}

TEST(FindStack, AGreenletIsFoundByItsRequestAndNeverByItsThread) {
  const auto blocks = ParseStacks(
      "Greenlet 0x00000000000000a1 (request 5) (most recent call first):\n"
      "Greenlet 0x00000000000000a2 (request 6) (most recent call first):\n"
      "Greenlet 0x00000000000000a3 (most recent call first):\n"
      "Thread 0x00000000000000a4 (most recent call first):\n");
  ASSERT_NE(FindStack(blocks, 6, 0xa4), nullptr);
  EXPECT_EQ(FindStack(blocks, 6, 0xa4)->ident, 0xa2U);
  EXPECT_EQ(FindStack(blocks, 7, 0xa4), nullptr);
  EXPECT_EQ(FindStack(blocks, 0, 0xa4), nullptr);
}

}  // namespace
}  // namespace gunid

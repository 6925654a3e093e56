#include "base/signal_source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace gunid {
namespace {

class SignalSourceTest : public testing::Test {
 protected:
  SignalSourceTest() { pthread_sigmask(SIG_SETMASK, nullptr, &before_); }
  ~SignalSourceTest() override { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

  EventLoop loop_;
  std::vector<int> seen_;
  sigset_t before_;
};

TEST_F(SignalSourceTest, TurnsSignalsIntoCalls) {
  const SignalSource source(loop_, {SIGUSR1, SIGUSR2},
                            [this](int signal) { seen_.push_back(signal); });
  kill(getpid(), SIGUSR2);
  kill(getpid(), SIGUSR1);
  kill(getpid(), SIGUSR1);  // pending already: the system merges the two
  loop_.RunOnce();
  EXPECT_THAT(seen_, testing::UnorderedElementsAre(SIGUSR1, SIGUSR2));
}

TEST_F(SignalSourceTest, RemembersTheMaskOfBefore) {
  const SignalSource source(loop_, {SIGUSR1}, [](int) {});
  EXPECT_EQ(sigismember(&source.original_mask(), SIGUSR1), 0);
  sigset_t now;
  pthread_sigmask(SIG_SETMASK, nullptr, &now);
  EXPECT_EQ(sigismember(&now, SIGUSR1), 1);
}

}  // namespace
}  // namespace gunid

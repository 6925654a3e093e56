#include "python/executor_greenlets.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace gunid {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(GreenletWarnings, TellOfWhatIsNotDone) {
  Settings settings;
  settings.threads = 4;
  settings.worker_connections = 5000;
  EXPECT_THAT(GreenletWarnings(settings), IsEmpty());  // gthread
  settings.worker_class = "gevent";
  EXPECT_THAT(GreenletWarnings(settings),
              ElementsAre(HasSubstr("threads is ignored"),
                          "worker_connections is 5000, but a gevent worker runs no more than 1024 "
                          "requests at a time"));
  settings.threads = 1;
  settings.worker_connections = 1024;
  EXPECT_THAT(GreenletWarnings(settings), IsEmpty());
}

}  // namespace
}  // namespace gunid

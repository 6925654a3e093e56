#include "ctl/server_process.h"

#include <gtest/gtest.h>
#include <sys/wait.h>

#include "gunid/control_paths.h"
#include "support/temporary_directory.h"

namespace gunid {
namespace {

TEST(ServerProcess, WaitsForTheEndOfTheProcessThatListens) {
  const TemporaryDirectory directory;
  const std::string path = directory.File("socket");
  int listening[2];
  int end[2];
  ASSERT_EQ(pipe(listening), 0);
  ASSERT_EQ(pipe(end), 0);
  const pid_t pid = fork();
  if (pid == 0) {
    sockaddr_un address;
    FillControlAddress(path, &address);
    const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    const bool listens =
        bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 && listen(fd, 1) == 0;
    char byte = listens ? 'y' : 'n';
    _exit(write(listening[1], &byte, 1) == 1 && read(end[0], &byte, 1) == 1 ? 0 : 1);
  }
  char byte = 0;
  ASSERT_EQ(read(listening[0], &byte, 1), 1);
  ASSERT_EQ(byte, 'y');
  const ServerProcess process(path);
  ASSERT_EQ(write(end[1], "e", 1), 1);
  process.WaitForEnd();
  EXPECT_EQ(waitpid(pid, nullptr, WNOHANG), pid);
  for (const int fd : {listening[0], listening[1], end[0], end[1]}) close(fd);
}

TEST(ServerProcess, DoesNotWaitWhereNobodyListens) {
  ServerProcess("/nonexistent/socket").WaitForEnd();
}

}  // namespace
}  // namespace gunid

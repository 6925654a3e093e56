// The floor: what one thread of C needs to answer a request with a fixed response, and nothing else. It
// parses no HTTP, runs no application, and knows no timeouts; it is what the kernel and the loopback cost.
//
//   floor PORT BODY_BYTES [COMPUTE_US]
//
// With COMPUTE_US it computes for so many microseconds before each response, as an application would: then
// clients wait for it, and to answer them costs what it costs every server, with the kernel's wake-ups.
//
// One epoll loop. Each empty line ends a request; all requests that one recv brings are answered by one
// send. After "Connection: close" it closes the connection.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { kMaxEvents = 64, kMaxFd = 16384, kInput = 16384 };

struct connection {
  int fd;
  int close_after;
  size_t owed;  // bytes of responses that are not sent
};

static struct connection connections[kMaxFd];
static char *response;  // head and body
static char *closing;   // the same, and as long, with another Connection field
static size_t response_size;
static double compute_ns;

static void die(const char *what) {
  perror(what);
  exit(1);
}

static char *make_response(size_t body, const char *connection) {
  char head[256];
  const int length = snprintf(head, sizeof head,
                              "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nServer: floor\r\n"
                              "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\nContent-Length: %zu\r\n"
                              "Connection: %s\r\n\r\n",
                              body, connection);
  response_size = (size_t)length + body;
  char *made = malloc(response_size);
  if (made == NULL) die("malloc");
  memcpy(made, head, (size_t)length);
  memset(made + length, 'x', body);
  return made;
}

static void finish(struct connection *connection) {
  close(connection->fd);
  connection->fd = -1;
}

static double now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static void compute(void) {
  if (compute_ns <= 0) return;
  const double end = now_ns() + compute_ns;
  while (now_ns() < end) {
  }
}

// Sends what is owed, from where the last send has ended.
static void send_owed(struct connection *connection) {
  const char *from = connection->close_after ? closing : response;
  while (connection->owed > 0) {
    const size_t rest = connection->owed % response_size;
    struct iovec parts[16];
    int count = 0;
    size_t left = connection->owed;
    if (rest > 0) {
      parts[count++] = (struct iovec){(char *)from + response_size - rest, rest};
      left -= rest;
    }
    for (; left > 0 && count < 16; left -= response_size) {
      parts[count++] = (struct iovec){(char *)from, response_size};
    }
    const struct msghdr message = {.msg_iov = parts, .msg_iovlen = (size_t)count};
    const ssize_t sent = sendmsg(connection->fd, &message, MSG_NOSIGNAL);
    if (sent < 0) {
      if (errno != EAGAIN) finish(connection);
      return;
    }
    connection->owed -= (size_t)sent;
  }
  if (connection->close_after) finish(connection);
}

static void receive(struct connection *connection) {
  static char input[kInput];
  const ssize_t got = recv(connection->fd, input, sizeof input, 0);
  if (got < 0 && errno == EAGAIN) return;
  if (got <= 0) return finish(connection);
  const char *const end = input + got;
  for (const char *at = input; (at = memmem(at, (size_t)(end - at), "\r\n\r\n", 4)); at += 4) {
    connection->owed += response_size;
    compute();
  }
  connection->close_after = memmem(input, (size_t)got, "Connection: close", 17) != NULL;
  send_owed(connection);
}

int main(int argc, char **argv) {
  if (argc != 3 && argc != 4) {
    fprintf(stderr, "usage: floor PORT BODY_BYTES [COMPUTE_US]\n");
    return 2;
  }
  signal(SIGPIPE, SIG_IGN);
  if (argc == 4) compute_ns = strtod(argv[3], NULL) * 1e3;
  const size_t body = strtoul(argv[2], NULL, 10);
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const int on = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  const struct sockaddr_in address = {.sin_family = AF_INET,
                                      .sin_port = htons((unsigned short)atoi(argv[1])),
                                      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  if (bind(listener, (const struct sockaddr *)&address, sizeof address) != 0) die("bind");
  if (listen(listener, 2048) != 0) die("listen");
  // Clients may connect by now; a large body takes its time.
  response = make_response(body, "keep-alive");
  closing = make_response(body, "close     ");

  const int loop = epoll_create1(EPOLL_CLOEXEC);
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
  if (epoll_ctl(loop, EPOLL_CTL_ADD, listener, &event) != 0) die("epoll_ctl");
  while (1) {
    struct epoll_event events[kMaxEvents];
    const int count = epoll_wait(loop, events, kMaxEvents, -1);
    for (int i = 0; i < count; ++i) {
      struct connection *connection = events[i].data.ptr;
      if (connection == NULL) {
        int fd;
        while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
          if (fd >= kMaxFd) {
            close(fd);
            continue;
          }
          connections[fd] = (struct connection){.fd = fd};
          event = (struct epoll_event){.events = EPOLLIN | EPOLLOUT | EPOLLET,
                                       .data.ptr = &connections[fd]};
          if (epoll_ctl(loop, EPOLL_CTL_ADD, fd, &event) != 0) close(fd);
        }
        continue;
      }
      if (connection->owed > 0) {
        send_owed(connection);
      } else if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
        receive(connection);
      }
    }
  }
}

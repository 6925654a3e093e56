#include "engine/exchange.h"

#include <fcntl.h>
#include <sys/mman.h>

#include "engine/engine_fixture.h"
#include "http/status_text.h"

namespace gunid {
namespace {

// Applications run on the engine's thread; what they saw is read after the drain.
class ExchangeTest : public EngineTest {
 protected:
  // The response to one request, with the connection closed after it by the drain.
  std::optional<Response> Run(Application application, const std::string& request = Get("/"),
                              bool has_body = true) {
    Start<InlineFake>(std::move(application));
    Client client(port_);
    client.Send(request);
    auto response = client.ReadResponse(has_body);
    Drain();
    Join();
    rest_ = client.ReadToEnd();
    was_reset_ = client.was_reset();
    return response;
  }

  std::string rest_;  // bytes behind the response
  bool was_reset_ = false;
};

ResponseHead HeadWithLength(std::size_t length) {
  ResponseHead head = OkHead();
  head.Add("Content-Length", std::to_string(length));
  return head;
}

UniqueFd FileWith(std::string_view content) {
  UniqueFd file(::memfd_create("content", MFD_CLOEXEC));
  EXPECT_EQ(::write(file.get(), content.data(), content.size()),
            static_cast<ssize_t>(content.size()));
  return file;
}

std::string Pattern(std::size_t size) {
  std::string bytes(size, '\0');
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>(i * 31 >> 4);
  return bytes;
}

TEST_F(ExchangeTest, ChunksABodyOfUnknownLength) {
  const auto response = Run([](Exchange& exchange) {
    exchange.SendHead(OkHead(), std::nullopt);
    for (const char* chunk : {"one", "", "a somewhat longer chunk"}) exchange.Write(chunk);
    exchange.Finish();
  });
  ASSERT_TRUE(response);
  EXPECT_TRUE(response->Has("Transfer-Encoding: chunked"));
  EXPECT_EQ(response->body, "onea somewhat longer chunk");
  EXPECT_EQ(rest_, "");
}

TEST_F(ExchangeTest, ChunksAnEmptyBody) {
  const auto response = Run([](Exchange& exchange) {
    exchange.SendHead(OkHead(), std::nullopt);
    exchange.Finish();
  });
  ASSERT_TRUE(response);
  EXPECT_EQ(response->body, "");
  EXPECT_EQ(rest_, "");
}

TEST_F(ExchangeTest, EndsABodyForHttp10ByClosing) {
  const auto response = Run(
      [](Exchange& exchange) {
        exchange.SendHead(OkHead(), std::nullopt);
        exchange.Write("until close");
        exchange.Finish();
      },
      "GET / HTTP/1.0\r\n\r\n");
  ASSERT_TRUE(response);
  EXPECT_TRUE(response->Has("Connection: close"));
  EXPECT_EQ(response->body, "until close");
}

TEST_F(ExchangeTest, DropsAndCountsWhatExceedsTheContentLength) {
  std::uint64_t surplus = 0;
  std::uint64_t body_bytes = 0;
  const auto response = Run([&](Exchange& exchange) {
    exchange.SendHead(HeadWithLength(5), std::nullopt);
    exchange.Write("1234");
    exchange.Write("56789");
    exchange.Write("more");
    exchange.Finish();
    surplus = exchange.surplus();
    body_bytes = exchange.body_bytes();
  });
  ASSERT_TRUE(response);
  EXPECT_EQ(response->body, "12345");
  EXPECT_EQ(rest_, "");
  EXPECT_EQ(surplus, 8U);
  EXPECT_EQ(body_bytes, 5U);
}

TEST_F(ExchangeTest, ClosesWhenTheBodyIsShorterThanItsContentLength) {
  std::uint64_t shortfall = 0;
  options_.keepalive_s = 60;
  Start<InlineFake>([&shortfall](Exchange& exchange) {
    exchange.SendHead(HeadWithLength(10), std::nullopt);
    exchange.Write("1234");
    exchange.Finish();
    shortfall = exchange.shortfall();
  });
  Client client(port_);
  client.Send(Get("/"));
  EXPECT_TRUE(client.ReadToEnd().ends_with("\r\n\r\n1234"));
  Drain();
  Join();
  EXPECT_EQ(shortfall, 6U);
}

TEST_F(ExchangeTest, DropsTheBodyForHead) {
  const auto response = Run(
      [](Exchange& exchange) {
        exchange.SendHead(HeadWithLength(4), std::nullopt);
        exchange.Write("body");
        exchange.Finish();
        EXPECT_EQ(exchange.body_bytes(), 0U);
        EXPECT_EQ(exchange.shortfall(), 0U);
      },
      "HEAD / HTTP/1.1\r\nHost: test\r\n\r\n", false);
  ASSERT_TRUE(response);
  EXPECT_TRUE(response->Has("Content-Length: 4"));
  EXPECT_FALSE(response->Has("Connection: close"));
  EXPECT_EQ(rest_, "");
}

TEST_F(ExchangeTest, AbortCutsTheResponse) {
  const auto response = Run([](Exchange& exchange) {
    exchange.SendHead(OkHead(), std::nullopt);
    exchange.Write("part");
    exchange.Abort();
    EXPECT_EQ(exchange.Write("more"), Exchange::WriteStatus::kClosed);
    exchange.Finish();
  });
  EXPECT_FALSE(response);
}

TEST_F(ExchangeTest, AbortIsSeenAlsoWhereOnlyTheCloseEndsTheBody) {
  Start<InlineFake>([](Exchange& exchange) {
    exchange.SendHead(OkHead(), std::nullopt);
    exchange.Write("part");
    exchange.Abort();
  });
  Client client(port_);
  client.Send("GET / HTTP/1.0\r\n\r\n");
  client.ReadToEnd();
  EXPECT_TRUE(client.was_reset());
}

TEST_F(ExchangeTest, AnExecutorThatDoesNotFinishCostsTheConnection) {
  EXPECT_FALSE(Run([](Exchange& exchange) { exchange.SendHead(OkHead(), 5); }));
}

TEST_F(ExchangeTest, SendErrorIsAWholeResponse) {
  const auto response = Run([](Exchange& exchange) {
    exchange.SendError(503, "try <later>");
    EXPECT_EQ(exchange.status(), 503);
  });
  ASSERT_TRUE(response);
  EXPECT_EQ(response->status, 503);
  EXPECT_TRUE(response->Has("Connection: close"));
  EXPECT_EQ(response->body, ErrorPage(503, "try <later>"));
}

TEST_F(ExchangeTest, SendErrorHasNoBodyForHead) {
  const auto response = Run([](Exchange& exchange) { exchange.SendError(500, ""); },
                            "HEAD / HTTP/1.1\r\nHost: test\r\n\r\n", false);
  ASSERT_TRUE(response);
  EXPECT_EQ(response->status, 500);
  EXPECT_EQ(rest_, "");
}

TEST_F(ExchangeTest, SendErrorReplacesAHeadThatIsNotOnTheWire) {
  const auto response = Run([](Exchange& exchange) {
    exchange.SendHead(OkHead(), std::nullopt);
    exchange.SendError(500, "");
  });
  ASSERT_TRUE(response);
  EXPECT_EQ(response->status, 500);
}

TEST_F(ExchangeTest, SendErrorAfterBytesOfTheResponseCutsIt) {
  EXPECT_FALSE(Run([](Exchange& exchange) {
    exchange.SendHead(OkHead(), std::nullopt);
    exchange.Write("part");
    exchange.SendError(500, "");
  }));
}

// Slow readers.

TEST_F(ExchangeTest, ASlowReaderDoesNotHoldTheApplication) {
  const std::string chunk = Pattern(1000);
  constexpr int kChunks = 8000;
  Start<ThreadedFake>(
      [&chunk](Exchange& exchange) {
        exchange.SendHead(OkHead(), std::nullopt);
        const int chunks = exchange.request().target == "/large" ? kChunks : 1;
        for (int i = 0; i < chunks; ++i) {
          ASSERT_EQ(exchange.Write(chunk), Exchange::WriteStatus::kOk);
        }
        exchange.Finish();
      },
      1);
  Client slow(port_, 4096);
  slow.Send(Get("/large"));
  EXPECT_TRUE(slow.Receive());
  Client other(port_);  // the only thread is free for it while the first response is pending
  other.Send(Get("/"));
  EXPECT_EQ(other.ReadResponse()->body.size(), chunk.size());
  const auto response = slow.ReadResponse();
  ASSERT_TRUE(response);
  ASSERT_EQ(response->body.size(), kChunks * chunk.size());
  for (int i = 0; i < kChunks; ++i) {
    ASSERT_EQ(response->body.compare(i * chunk.size(), chunk.size(), chunk), 0) << i;
  }
  Drain();
  Join();
}

TEST_F(ExchangeTest, WhatIsPendingGoesOutWhileTheApplicationIsBusy) {
  constexpr std::size_t kSize = 8'000'000;
  Gate gate;
  Start<ThreadedFake>(
      [&gate](Exchange& exchange) {
        exchange.SendHead(OkHead(), 2 * kSize);
        exchange.Write(std::string(kSize, 'a'));
        gate.Arrive();
        exchange.Write(std::string(kSize, 'b'));
        exchange.Finish();
      },
      1);
  Client client(port_, 4096);
  client.Send(Get("/"));
  ASSERT_TRUE(gate.WaitForArrivals(1));
  for (std::size_t received = 0; received < kSize;) {
    char buffer[65536];
    pollfd socket{client.fd(), POLLIN, 0};
    ASSERT_EQ(::poll(&socket, 1, kClientTimeoutMs), 1);
    received += static_cast<std::size_t>(::recv(client.fd(), buffer, sizeof buffer, 0));
  }
  gate.Open();
  Drain();
  EXPECT_EQ(client.ReadToEnd().find_first_not_of("ab"), std::string::npos);
  Join();
}

TEST_F(ExchangeTest, AClientThatTakesNothingIsCutWhileTheApplicationIsBusy) {
  options_.write_s = 0.2;
  Exchange::WriteStatus first = Exchange::WriteStatus::kClosed;
  Exchange::WriteStatus last = Exchange::WriteStatus::kOk;
  Start<ThreadedFake>(
      [&](Exchange& exchange) {
        exchange.SendHead(OkHead(), std::nullopt);
        first = exchange.Write(std::string(16'000'000, 'x'));
        for (int i = 0; i < 1000 && last == Exchange::WriteStatus::kOk; ++i) {
          std::this_thread::sleep_for(std::chrono::milliseconds(10));
          last = exchange.Write("x");
        }
        exchange.Finish();
      },
      1);
  Client client(port_, 4096);
  client.Send(Get("/"));
  EXPECT_TRUE(client.Receive());
  Drain();
  Join();
  EXPECT_EQ(first, Exchange::WriteStatus::kOk);
  EXPECT_EQ(last, Exchange::WriteStatus::kClosed);
  client.ReadToEnd();
  EXPECT_TRUE(client.was_reset());  // nothing is kept for it in the system's buffers either
}

TEST_F(ExchangeTest, AnIdleApplicationIsNoSlowClient) {
  options_.write_s = 0.1;
  Gate gate;
  Start<ThreadedFake>(
      [&](Exchange& exchange) {
        exchange.SendHead(OkHead(), std::nullopt);
        exchange.Write(std::string(16'000'000, 'x'));
        gate.Arrive();
        exchange.Write("y");
        exchange.Finish();
      },
      1);
  Client client(port_);
  client.Send(Get("/"));
  std::thread opener([&gate] {
    EXPECT_TRUE(gate.WaitForArrivals(1));
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
    gate.Open();
  });
  EXPECT_TRUE(client.ReadResponse()->body.ends_with("xy"));
  opener.join();
  Drain();
  Join();
}

TEST_F(ExchangeTest, TellsWhenTooMuchIsPendingAndWaitsForRoom) {
  options_.response_buffer_limit = 30'000'000;
  const std::string chunk = Pattern(3'000'000);
  constexpr int kChunks = 60;
  int waits = 0;
  Start<ThreadedFake>(
      [&](Exchange& exchange) {
        exchange.SendHead(OkHead(), std::nullopt);
        for (int i = 0; i < kChunks; ++i) {
          if (exchange.Write(chunk) != Exchange::WriteStatus::kFull) continue;
          ++waits;
          EXPECT_TRUE(WaitForRoom(exchange, 5));
        }
        exchange.Finish();
      },
      1);
  Client client(port_, 4096);
  client.Send(Get("/"));
  const auto response = client.ReadResponse();
  ASSERT_TRUE(response);
  EXPECT_EQ(response->body.size(), kChunks * chunk.size());
  EXPECT_TRUE(response->body.ends_with(chunk));
  Drain();
  Join();
  EXPECT_GT(waits, 0);
}

TEST_F(ExchangeTest, WaitForRoomGivesUpOnAClientThatTakesTooLittle) {
  options_.response_buffer_limit = 1'000'000;
  std::atomic<bool> waited = true;
  Start<ThreadedFake>(
      [&waited](Exchange& exchange) {
        exchange.SendHead(OkHead(), std::nullopt);
        const std::string chunk(1'000'000, 'x');
        while (exchange.Write(chunk) == Exchange::WriteStatus::kOk) {
        }
        waited = WaitForRoom(exchange, 0.5);
        exchange.Finish();
      },
      1);
  Client client(port_, 4096);
  client.Send(Get("/"));
  std::string some(500, '\0');
  for (int i = 0; i < 1000 && waited; ++i) {
    ::recv(client.fd(), some.data(), some.size(), MSG_DONTWAIT);
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_FALSE(waited);
  Drain();
  Join();
}

TEST_F(ExchangeTest, WaitForRoomGivesUpOnAClientThatTakesNothing) {
  options_.response_buffer_limit = 1'000'000;
  bool waited = true;
  Start<ThreadedFake>(
      [&waited](Exchange& exchange) {
        exchange.SendHead(OkHead(), std::nullopt);
        const std::string chunk(1'000'000, 'x');
        while (exchange.Write(chunk) == Exchange::WriteStatus::kOk) {
        }
        waited = WaitForRoom(exchange, 0.1);
        EXPECT_EQ(exchange.Write("x"), Exchange::WriteStatus::kClosed);
        exchange.Finish();
      },
      1);
  Client client(port_, 4096);
  client.Send(Get("/"));
  EXPECT_TRUE(client.Receive());
  Drain();
  Join();
  EXPECT_FALSE(waited);
}

// Early hints.

const ResponseFields kHints{{"Link", "</a.css>; rel=preload"}, {"Content-Length", "3"}};
constexpr char kHintsOnTheWire[] =
    "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n";

TEST_F(ExchangeTest, SendsEarlyHintsAtOnceAndMoreThanOnce) {
  Gate gate;
  Start<ThreadedFake>(
      [&gate](Exchange& exchange) {
        exchange.SendEarlyHints(kHints);
        gate.Arrive();
        exchange.SendEarlyHints(kHints);
        Echo(exchange);
      },
      1);
  Client client(port_);
  client.Send(Get("/"));
  EXPECT_EQ(client.ReadResponse(false)->head, kHintsOnTheWire);
  gate.Open();
  EXPECT_EQ(client.ReadResponse(false)->head, kHintsOnTheWire);
  EXPECT_EQ(client.ReadResponse()->body, "GET / ");
  Drain();
  Join();
}

TEST_F(ExchangeTest, SendsNoEarlyHintsToHttp10OrAfterTheHead) {
  const auto application = [](Exchange& exchange) {
    if (exchange.request().minor_version == 0) exchange.SendEarlyHints(kHints);
    exchange.SendHead(OkHead(), 1);
    exchange.SendEarlyHints(kHints);
    exchange.Write("x");
    exchange.Finish();
  };
  Start<InlineFake>(application);
  for (const std::string& request : {std::string("GET / HTTP/1.0\r\n\r\n"), Get("/")}) {
    Client client(port_);
    client.Send(request);
    EXPECT_EQ(client.ReadResponse()->status, 200);
  }
}

TEST_F(ExchangeTest, AnErrorAfterEarlyHintsIsStillAWholeResponse) {
  Start<InlineFake>([](Exchange& exchange) {
    exchange.SendEarlyHints(kHints);
    exchange.SendHead(OkHead(), 100);
    exchange.SendError(500, "");
  });
  Client client(port_);
  client.Send(Get("/"));
  EXPECT_EQ(client.ReadResponse(false)->head, kHintsOnTheWire);
  EXPECT_EQ(client.ReadResponse()->body, ErrorPage(500, ""));
  EXPECT_TRUE(client.AtEnd());
}

// Files.

TEST_F(ExchangeTest, SendsARegionOfAFile) {
  const UniqueFd file = FileWith("0123456789");
  const auto response = Run([&file](Exchange& exchange) {
    exchange.SendHead(OkHead(), 4);
    exchange.SendFile(file.get(), 3, 4);
    exchange.Finish();
    EXPECT_EQ(exchange.body_bytes(), 4U);
  });
  ASSERT_TRUE(response);
  EXPECT_EQ(response->body, "3456");
  EXPECT_EQ(rest_, "");
}

TEST_F(ExchangeTest, CutsAFileToTheContentLength) {
  const UniqueFd file = FileWith("0123456789");
  const auto response = Run([&file](Exchange& exchange) {
    exchange.SendHead(HeadWithLength(6), std::nullopt);
    exchange.SendFile(file.get(), 0, 10);
    exchange.Finish();
    EXPECT_EQ(exchange.surplus(), 4U);
  });
  ASSERT_TRUE(response);
  EXPECT_EQ(response->body, "012345");
  EXPECT_EQ(rest_, "");
}

TEST_F(ExchangeTest, SendsAnEmptyFile) {
  const UniqueFd file = FileWith("");
  for (const std::optional<std::uint64_t> length : {std::optional<std::uint64_t>(0), {}}) {
    const auto response = Run([&](Exchange& exchange) {
      exchange.SendHead(OkHead(), length);
      exchange.SendFile(file.get(), 0, 0);
      exchange.Finish();
    });
    ASSERT_TRUE(response);
    EXPECT_EQ(response->body, "");
    EXPECT_EQ(rest_, "");
  }
}

TEST_F(ExchangeTest, SendsAFileInAChunk) {
  const UniqueFd file = FileWith("0123456789");
  const auto response = Run([&file](Exchange& exchange) {
    exchange.SendHead(OkHead(), std::nullopt);
    exchange.SendFile(file.get(), 2, 8);
    exchange.Finish();
  });
  ASSERT_TRUE(response);
  EXPECT_EQ(response->body, "23456789");
  EXPECT_EQ(rest_, "");
}

TEST_F(ExchangeTest, DropsAFileForHead) {
  const UniqueFd file = FileWith("0123456789");
  const auto response = Run(
      [&file](Exchange& exchange) {
        exchange.SendHead(HeadWithLength(10), std::nullopt);
        exchange.SendFile(file.get(), 0, 10);
        exchange.Finish();
      },
      "HEAD / HTTP/1.1\r\nHost: test\r\n\r\n", false);
  ASSERT_TRUE(response);
  EXPECT_EQ(rest_, "");
}

class LargeFileTest : public EngineTest, public testing::WithParamInterface<bool> {};

// The engine sends most of it after the application has closed its descriptor.
TEST_P(LargeFileTest, GoesToASlowReader) {
  const bool chunked = GetParam();
  const std::string content = Pattern(12'000'000);
  Start<InlineFake>([&](Exchange& exchange) {
    const UniqueFd file = FileWith(content);
    exchange.SendHead(OkHead(), chunked ? std::nullopt : std::optional(content.size()));
    EXPECT_EQ(exchange.SendFile(file.get(), 0, content.size()), Exchange::WriteStatus::kOk);
    exchange.Finish();
  });
  Client client(port_, 4096);
  client.Send(Get("/1") + Get("/2"));
  for (int i = 0; i < 2; ++i) {
    const auto response = client.ReadResponse();
    ASSERT_TRUE(response);
    EXPECT_TRUE(response->body == content);
  }
}

INSTANTIATE_TEST_SUITE_P(Framing, LargeFileTest, testing::Bool());

TEST_F(ExchangeTest, AFileThatIsShorterThanPromisedCutsTheResponse) {
  const UniqueFd file = FileWith("0123");
  EXPECT_FALSE(Run([&file](Exchange& exchange) {
    exchange.SendHead(OkHead(), 10);
    EXPECT_EQ(exchange.SendFile(file.get(), 0, 10), Exchange::WriteStatus::kClosed);
    exchange.Finish();
  }));
}

}  // namespace
}  // namespace gunid

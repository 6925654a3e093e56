#include "ipc/spawn_protocol.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

namespace gunid {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

template <class Alternative>
Alternative ThereAndBack(const Alternative& message) {
  const auto decoded = DecodeMessage(EncodeMessage(message));
  EXPECT_TRUE(decoded) << (decoded ? "" : decoded.error().message);
  if (!decoded) return {};
  EXPECT_TRUE(std::holds_alternative<Alternative>(*decoded));
  return std::get<Alternative>(*decoded);
}

TEST(SpawnProtocol, CarriesLoadRequest) {
  const auto message =
      ThereAndBack(LoadRequest{7, {{"environment", "{}"}, {"command line", R"({"workers":"4"})"}}});
  EXPECT_EQ(message.generation, 7);
  ASSERT_EQ(message.layers.size(), 2U);
  EXPECT_EQ(message.layers[1].origin, "command line");
  EXPECT_EQ(message.layers[1].values, R"({"workers":"4"})");
}

TEST(SpawnProtocol, CarriesSettingsLoaded) {
  Settings settings;
  settings.workers = 5;
  const auto message = ThereAndBack(SettingsLoaded{SettingsToJson(settings), {"careful"}});
  EXPECT_EQ(*SettingsFromJson(message.settings), settings);
  EXPECT_THAT(message.warnings, ElementsAre("careful"));
}

TEST(SpawnProtocol, CarriesListenersOpened) {
  const ListenersOpened sent{
      {{.family = ListenerAddress::Family::kIpv4, .host = "127.0.0.1", .port = 80},
       {.family = ListenerAddress::Family::kIpv6, .host = "::1", .port = 8000},
       {.family = ListenerAddress::Family::kUnix, .path = "/run/app.sock"}},
      {false, true, false}};
  EXPECT_EQ(ThereAndBack(sent).addresses, sent.addresses);
  EXPECT_EQ(ThereAndBack(sent).outlive_server, sent.outlive_server);
}

TEST(SpawnProtocol, CarriesBootFailure) {
  const auto message = ThereAndBack(BootFailure{3, "no \"module\"", "Traceback:\n  Bücher\t\x01"});
  EXPECT_EQ(message.exit_code, 3);
  EXPECT_EQ(message.message, "no \"module\"");
  EXPECT_EQ(message.traceback, "Traceback:\n  Bücher\t\x01");
}

TEST(SpawnProtocol, CarriesLoadedFilesInPacketsThatFit) {
  EXPECT_TRUE(SplitIntoPackets({}).empty());
  std::vector<std::string> files;
  for (int i = 0; i < 1000; ++i)
    files.push_back("/srv/\x01" + std::string(100, '"') + std::to_string(i));
  files.push_back(std::string(20'000, 'x'));
  std::vector<std::string> arrived;
  for (const FilesLoaded& packet : SplitIntoPackets(files)) {
    EXPECT_LE(EncodeMessage(packet).size(), MessageSocket::kMaxBytes);
    for (const std::string& file : ThereAndBack(packet).files) arrived.push_back(file);
  }
  EXPECT_EQ(arrived, files);
}

TEST(SpawnProtocol, CarriesForks) {
  const auto request = ThereAndBack(ForkRequest{12, 3});
  EXPECT_EQ(request.worker_id, 12);
  EXPECT_EQ(request.slot, 3);
  const auto forked = ThereAndBack(Forked{12, -1});
  EXPECT_EQ(forked.worker_id, 12);
  EXPECT_EQ(forked.pid, -1);
}

TEST(SpawnProtocol, CarriesTheShortOnes) {
  ThereAndBack(ZygoteReady{});
  ThereAndBack(Go{});
  ThereAndBack(WorkerReady{});
  ThereAndBack(AcceptingStopped{});
  ThereAndBack(StacksWanted{});
  ThereAndBack(StacksWritten{});
  EXPECT_EQ(ThereAndBack(RecycleWanted{"max_requests"}).reason, "max_requests");
}

TEST(SpawnProtocol, CarriesTheNamesOfRequests) {
  constexpr std::uint64_t kLargest = std::numeric_limits<std::uint64_t>::max();
  EXPECT_EQ(ThereAndBack(CancelRequest{kLargest}).serial, kLargest);
  EXPECT_EQ(ThereAndBack(AbandonRequest{17}).serial, 17U);
}

TEST(SpawnProtocol, ReplacesWhatIsNotUtf8) {
  EXPECT_EQ(ThereAndBack(BootFailure{3, "a\xff", ""}).message, "a\xEF\xBF\xBD");
}

TEST(DecodeMessage, RefusesUnknownTypes) {
  for (const char* bytes : {R"({"type":"dance"})", R"({"type":""})"}) {
    EXPECT_EQ(DecodeMessage(bytes).error().message,
              "a message of another process has an unknown type");
  }
}

TEST(DecodeMessage, RefusesWhatIsMalformed) {
  for (const char* bytes :
       {"", "{", "null", "[]", "3", "\"go\"", "{}", R"({"type":3})", R"({"type":null})",
        R"({"type":"forked"})", R"({"type":"forked","worker_id":1})",
        R"({"type":"forked","worker_id":1,"pid":"x"})",
        R"({"type":"listeners_opened","addresses":{"a":1}})",
        R"({"type":"listeners_opened","addresses":[{"host":"x"}]})",
        R"({"type":"load_request","generation":1,"layers":[1]})", "\xff", "{\"type\":\"go\"} x"}) {
    const auto message = DecodeMessage(bytes);
    ASSERT_FALSE(message) << bytes;
    EXPECT_THAT(message.error().message, HasSubstr("malformed")) << bytes;
  }
}

TEST(DecodeMessage, IgnoresMembersOfLaterVersions) {
  EXPECT_TRUE(DecodeMessage(R"({"type":"go","urgent":true})"));
  EXPECT_TRUE(DecodeMessage(R"({"type":"recycle_wanted","reason":"x","more":1})"));
}

TEST(CutToFit, KeepsTheEnd) {
  EXPECT_EQ(CutToFit("0123456789", 12), "0123456789");
  EXPECT_EQ(CutToFit(std::string(100, 'a') + "end", 20).size(), 20U - 2)
      << "the quotes are part of a message";
  EXPECT_THAT(CutToFit(std::string(100, 'a') + "end", 20), testing::EndsWith("end"));
  EXPECT_EQ(CutToFit("", 20), "");
}

TEST(CutToFit, CutsBetweenCharacters) {
  const std::string text = "aé€😀é€😀";
  for (std::size_t size = 2; size < text.size() + 2; ++size) {
    const std::string cut = CutToFit(text, size);
    EXPECT_LE(cut.size() + 2, size);
    EXPECT_TRUE(text.ends_with(cut));
    EXPECT_TRUE(cut.empty() || (static_cast<unsigned char>(cut.front()) & 0xC0) != 0x80) << size;
  }
}

TEST(CutToFit, MakesEveryTextFitAMessage) {
  for (const char c : {'a', '\n', '\x01', '"', '\xff'}) {
    const std::string cut = CutToFit(std::string(1'000'000, c));
    EXPECT_LE(EncodeMessage(BootFailure{3, "why", cut}).size(), MessageSocket::kMaxBytes);
  }
}

}  // namespace
}  // namespace gunid

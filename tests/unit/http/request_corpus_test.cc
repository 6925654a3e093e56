// The cases of tests/requests (its README.md says how one is written) through what a connection
// does with bytes: the PROXY header, the parser, and the forwarding rules. The outcome must be the
// expected one, and the same however the bytes arrive.

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "base/ip_network.h"
#include "http/forwarded_headers.h"
#include "http/proxy_header.h"
#include "http/request_target.h"
#include "support/file_contents.h"
#include "support/parser_feed.h"

namespace gunid {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

// The peer of all connections.
constexpr const char* kPeer = "127.0.0.1";

// Where the input is cut; the last entry is its size.
using Cuts = std::vector<std::size_t>;

// A longer input is cut in fewer ways.
constexpr std::size_t kShortInput = 1000;

struct ConnectionRules {
  RequestLimits limits;
  ParserLaxity laxity;
  ForwardingRules forwarding;
  bool trusted = true;
  ProxyProtocol proxy_protocol = ProxyProtocol::kOff;
  bool may_send_proxy_header = true;
};

struct CorpusCase {
  std::string name;
  std::string input;
  json expected;
  ConnectionRules rules;
};

// Settings

bool ContainsPeer(const std::string& networks) {
  return IpNetworks::Parse(networks).value().Contains(*IpAddress::Parse(kPeer));
}

std::vector<std::string> SplitList(const std::string& list) {
  std::vector<std::string> items;
  std::istringstream stream(list);
  for (std::string item; std::getline(stream, item, ',');) items.push_back(item);
  return items;
}

const std::map<std::string, HeaderMap> kHeaderMaps = {{"drop", HeaderMap::kDrop},
                                                      {"refuse", HeaderMap::kRefuse},
                                                      {"dangerous", HeaderMap::kDangerous}};
const std::map<std::string, ProxyProtocol> kProxyProtocols = {{"off", ProxyProtocol::kOff},
                                                              {"v1", ProxyProtocol::kV1},
                                                              {"v2", ProxyProtocol::kV2},
                                                              {"auto", ProxyProtocol::kAuto}};

using Apply = void (*)(ConnectionRules& rules, const json& value);
const std::map<std::string, Apply> kSettings = {
    {"limit_request_line", [](auto& rules, auto& value) { rules.limits.line = value; }},
    {"limit_request_fields", [](auto& rules, auto& value) { rules.limits.fields = value; }},
    {"limit_request_field_size", [](auto& rules, auto& value) { rules.limits.field_size = value; }},
    {"limit_request_body", [](auto& rules, auto& value) { rules.limits.body = value; }},
    {"permit_obsolete_folding",
     [](auto& rules, auto& value) { rules.laxity.permit_obsolete_folding = value; }},
    {"strip_header_spaces",
     [](auto& rules, auto& value) { rules.laxity.strip_header_spaces = value; }},
    {"permit_unconventional_http_method",
     [](auto& rules, auto& value) { rules.laxity.permit_unconventional_http_method = value; }},
    {"permit_unconventional_http_version",
     [](auto& rules, auto& value) { rules.laxity.permit_unconventional_http_version = value; }},
    {"casefold_http_method",
     [](auto& rules, auto& value) { rules.laxity.casefold_http_method = value; }},
    {"header_map",
     [](auto& rules, auto& value) { rules.forwarding.header_map = kHeaderMaps.at(value); }},
    {"forwarder_headers",
     [](auto& rules, auto& value) { rules.forwarding.forwarder_headers = SplitList(value); }},
    {"secure_scheme_headers",
     [](auto& rules, auto& value) {
       const auto headers = value.template get<std::map<std::string, std::string>>();
       rules.forwarding.secure_scheme_headers = {headers.begin(), headers.end()};
     }},
    {"forwarded_allow_ips", [](auto& rules, auto& value) { rules.trusted = ContainsPeer(value); }},
    {"proxy_protocol",
     [](auto& rules, auto& value) { rules.proxy_protocol = kProxyProtocols.at(value); }},
    {"proxy_allow_ips",
     [](auto& rules, auto& value) { rules.may_send_proxy_header = ContainsPeer(value); }},
};

ConnectionRules RulesOf(const json& settings) {
  ConnectionRules rules;
  for (const auto& [name, value] : settings.items()) kSettings.at(name)(rules, value);
  return rules;
}

// Loading

std::vector<fs::path> FilesOf(const std::string& kind, const std::string& extension) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(fs::path(GUNID_REQUESTS) / kind)) {
    if (entry.path().extension() == extension) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

CorpusCase LoadCase(fs::path file) {
  CorpusCase loaded;
  loaded.name = fs::relative(file, GUNID_REQUESTS).replace_extension().string();
  loaded.input = FileContents(file);
  loaded.expected = json::parse(FileContents(file.replace_extension(".json")));
  loaded.rules = RulesOf(loaded.expected.value("settings", json::object()));
  return loaded;
}

std::vector<CorpusCase> LoadCases(const std::string& kind) {
  std::vector<CorpusCase> cases;
  for (const fs::path& file : FilesOf(kind, ".http")) cases.push_back(LoadCase(file));
  return cases;
}

// Playing a case

// Each byte a character, as the application sees it.
std::string Latin1(std::string_view bytes) {
  std::string utf8;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x80) utf8 += static_cast<char>(0xc0 | byte >> 6);
    utf8 += static_cast<char>(byte >= 0x80 ? 0x80 | (byte & 0x3f) : byte);
  }
  return utf8;
}

class Connection {
 public:
  explicit Connection(const ConnectionRules& rules)
      : rules_(rules),
        in_proxy_header_(rules.proxy_protocol != ProxyProtocol::kOff),
        feed_(rules.limits, rules.laxity,
              {.head = [this](RequestHead& head) { return Judge(head); },
               .request = [this](const RequestHead& head,
                                 const std::string& body) { return Record(head, body); }}) {}

  // {"requests": [...]} and either the "status" of a refusal, or whether it is "incomplete".
  json Run(std::string_view input, const Cuts& cuts) {
    std::size_t start = 0;
    for (const std::size_t cut : cuts) {
      if (status_ == 0) Receive(input.substr(start, cut - start));
      start = cut;
    }
    if (feed_.error()) status_ = feed_.error()->status;
    json outcome = {{"requests", requests_}};
    if (status_ != 0) {
      outcome["status"] = status_;
    } else {
      outcome["incomplete"] = feed_.in_message() || !received_.empty();
    }
    return outcome;
  }

 private:
  void Receive(std::string_view bytes) {
    if (!in_proxy_header_) {
      feed_.Receive(bytes);
      return;
    }
    received_ += bytes;
    const std::vector<char> exact(received_.begin(), received_.end());
    const ProxyHeaderScan scan =
        ScanProxyHeader({exact.data(), exact.size()}, rules_.proxy_protocol);
    if (scan.outcome == ProxyHeaderScan::Outcome::kNeedMore) return;
    in_proxy_header_ = false;
    const std::string rest = std::exchange(received_, {}).substr(scan.length);
    if (TakeProxyHeader(scan)) feed_.Receive(rest);
  }

  bool TakeProxyHeader(const ProxyHeaderScan& scan) {
    if (scan.outcome == ProxyHeaderScan::Outcome::kAbsent) return true;
    if (!rules_.may_send_proxy_header) {
      status_ = 403;
    } else if (scan.outcome == ProxyHeaderScan::Outcome::kMalformed) {
      status_ = 400;
    } else if (scan.outcome == ProxyHeaderScan::Outcome::kAddresses) {
      proxy_ = scan.header;
    }
    return status_ == 0;
  }

  std::optional<RequestParser::ParseError> Judge(RequestHead& head) {
    return ApplyForwarding(rules_.forwarding, rules_.trusted, head);
  }

  bool Record(const RequestHead& head, const std::string& body) {
    json headers = json::array();
    for (const HeaderField& field : head.headers)
      headers.push_back({Latin1(field.name), Latin1(field.value)});
    requests_.push_back({{"method", Latin1(head.method)},
                         {"target", Latin1(head.target)},
                         {"version", head.minor_version == 0 ? "HTTP/1.0" : "HTTP/1.1"},
                         {"headers", headers},
                         {"body", Latin1(body)},
                         {"keep_alive", head.keep_alive},
                         {"environ", Environ(head)}});
    return head.keep_alive;
  }

  // What is decided here of the WSGI environ.
  [[nodiscard]] json Environ(const RequestHead& head) const {
    const std::string script_name(head.script_name.value_or(""));
    const RequestTarget target = SplitTarget(head.method, head.target).value();
    std::string path = PercentDecode(target.path);
    if (path.starts_with(script_name)) path.erase(0, script_name.size());
    json environ = {{"wsgi.url_scheme", head.secure ? "https" : "http"},
                    {"SCRIPT_NAME", Latin1(script_name)},
                    {"PATH_INFO", Latin1(path)},
                    {"QUERY_STRING", Latin1(target.query)},
                    {"REMOTE_ADDR", proxy_ ? proxy_->client_host : kPeer},
                    {"PROXY_PROTOCOL", nullptr},
                    {"PROXY_ADDR", nullptr},
                    {"PROXY_PORT", nullptr}};
    if (proxy_) {
      environ["REMOTE_PORT"] = std::to_string(proxy_->client_port);
      environ["PROXY_PROTOCOL"] = proxy_->protocol;
      environ["PROXY_ADDR"] = proxy_->proxy_host;
      environ["PROXY_PORT"] = std::to_string(proxy_->proxy_port);
    }
    return environ;
  }

  const ConnectionRules& rules_;
  bool in_proxy_header_;
  std::string received_;  // as long as it may become a PROXY header
  std::optional<ProxyHeader> proxy_;
  ParserFeed feed_;
  int status_ = 0;
  json requests_ = json::array();
};

// Comparing

// The expectation as Connection::Run() would tell it; what it leaves open is as in `outcome`.
json FullRequest(json expected, const json& outcome) {
  if (!expected.contains("headers")) expected["headers"] = outcome["headers"];
  if (expected.contains("body_repeated")) {
    const json repeated = expected["body_repeated"];
    std::string body;
    for (int i = 0; i < repeated["times"]; ++i) body += repeated["text"].get<std::string>();
    expected.erase("body_repeated");
    expected["body"] = body;
  }
  json environ = outcome["environ"];
  const json wanted = expected.value("environ", json::object());
  for (const auto& [name, value] : wanted.items()) {
    if (environ.contains(name)) environ[name] = value;
  }
  expected["environ"] = environ;
  return expected;
}

json FullExpectation(const json& expected, const json& outcome) {
  json full = {{"requests", expected.value("requests", json::array())}};
  for (std::size_t i = 0; i < std::min(full["requests"].size(), outcome["requests"].size()); ++i)
    full["requests"][i] = FullRequest(full["requests"][i], outcome["requests"][i]);
  if (expected.contains("status")) {
    full["status"] = expected["status"];
  } else {
    full["incomplete"] = expected.value("incomplete", false);
  }
  return full;
}

Cuts ByteByByte(std::size_t size) {
  Cuts cuts;
  for (std::size_t i = 1; i <= size; ++i) cuts.push_back(i);
  return cuts;
}

// Of a long input: at its ends, and here and there.
std::vector<Cuts> TwoPieces(std::size_t size) {
  std::vector<Cuts> all;
  const auto chosen = [size](std::size_t cut) {
    return size <= kShortInput || cut < 100 || cut + 100 > size || cut % 97 == 0;
  };
  for (std::size_t cut = 1; cut < size; ++cut) {
    if (chosen(cut)) all.push_back({cut, size});
  }
  return all;
}

void ExpectSameInPieces(const CorpusCase& played, const json& whole) {
  const std::size_t size = played.input.size();
  std::vector<Cuts> deliveries = TwoPieces(size);
  deliveries.push_back(ByteByByte(size));
  for (const Cuts& cuts : deliveries) {
    const json outcome = Connection(played.rules).Run(played.input, cuts);
    if (outcome == whole) continue;
    ADD_FAILURE() << played.name << " in " << cuts.size() << " pieces, the first of " << cuts[0]
                  << " bytes:\n"
                  << outcome.dump() << "\ninstead of\n"
                  << whole.dump();
    return;
  }
}

json PlayWhole(const CorpusCase& played) {
  return Connection(played.rules).Run(played.input, {played.input.size()});
}

TEST(RequestCorpus, AcceptsValidRequests) {
  for (const CorpusCase& played : LoadCases("valid")) {
    const json outcome = PlayWhole(played);
    EXPECT_EQ(outcome, FullExpectation(played.expected, outcome)) << played.name;
    ExpectSameInPieces(played, outcome);
  }
}

// 500: the request is sound, but the application cannot be called with it (SCRIPT_NAME). That is
// found when its environ is built.
TEST(RequestCorpus, RefusesInvalidRequests) {
  for (const CorpusCase& played : LoadCases("invalid")) {
    const json outcome = PlayWhole(played);
    if (played.expected["status"] != 500) {
      EXPECT_EQ(outcome, FullExpectation(played.expected, outcome)) << played.name;
    }
    ExpectSameInPieces(played, outcome);
  }
}

// A misspelt key would be an expectation that nothing checks.
void ExpectKeys(const json& object, const std::set<std::string>& allowed, const std::string& name) {
  for (const auto& [key, value] : object.items())
    EXPECT_TRUE(allowed.contains(key)) << name << ": " << key;
}

TEST(RequestCorpus, IsWellFormed) {
  const std::set<std::string> common = {"description", "settings", "requests"};
  for (const char* kind : {"valid", "invalid"}) {
    const bool valid = std::string_view(kind) == "valid";
    for (const CorpusCase& loaded : LoadCases(kind)) {
      std::set<std::string> keys = common;
      keys.insert(valid ? "incomplete" : "status");
      ExpectKeys(loaded.expected, keys, loaded.name);
      EXPECT_TRUE(loaded.expected.contains(valid ? "requests" : "status")) << loaded.name;
      for (const json& request : loaded.expected.value("requests", json::array())) {
        ExpectKeys(request,
                   {"method", "target", "version", "headers", "body", "body_repeated", "keep_alive",
                    "environ"},
                   loaded.name);
      }
    }
  }
}

TEST(RequestCorpus, HasAnExpectationForEachInput) {
  for (const char* kind : {"valid", "invalid"}) {
    std::vector<fs::path> inputs = FilesOf(kind, ".http");
    for (fs::path& input : inputs) input.replace_extension(".json");
    EXPECT_EQ(inputs, FilesOf(kind, ".json"));
    EXPECT_FALSE(inputs.empty());
  }
}

}  // namespace
}  // namespace gunid

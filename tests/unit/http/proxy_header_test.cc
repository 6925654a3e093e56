#include "http/proxy_header.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace gunid {
namespace {

using ProxyOutcome = ProxyHeaderScan::Outcome;

const std::string kSignature("\r\n\r\n\0\r\nQUIT\n", 12);
const std::string kIpv4Ends("\xc0\x00\x02\x01\xc6\x33\x64\x02\x1f\x90\x01\xbb", 12);
const std::string kIpv6Ends(
    "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01"
    "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02\xff\xff\x00\x50",
    36);
const std::string kTlv("\x04\x00\x03\0\0\0", 6);
const std::string kRequest = "GET / HTTP/1.1\r\n";

// A version 2 header: version and command, family and transport, and what follows the length.
std::string V2(unsigned char command, unsigned char family, const std::string& rest) {
  std::string header = kSignature;
  for (const std::size_t byte :
       {std::size_t{command}, std::size_t{family}, rest.size() >> 8, rest.size() & 255}) {
    header += static_cast<char>(byte);
  }
  return header + rest;
}

std::string Hex(const std::string& bytes) {
  return testing::PrintToString(std::vector<int>(bytes.begin(), bytes.end())) + " " + bytes;
}

void ExpectPrefixesNeedMore(const std::string& header, ProxyProtocol accepted) {
  for (std::size_t size = 0; size < header.size(); ++size) {
    EXPECT_EQ(ScanProxyHeader(header.substr(0, size), accepted).outcome, ProxyOutcome::kNeedMore)
        << size << " of " << Hex(header);
  }
}

// For input without a complete header: each prefix either leaves it open or settles it for good.
void ExpectPrefixesAgree(const std::string& input, ProxyOutcome outcome, ProxyProtocol accepted) {
  bool settled = false;
  for (std::size_t size = 0; size <= input.size(); ++size) {
    const ProxyOutcome now = ScanProxyHeader(input.substr(0, size), accepted).outcome;
    EXPECT_EQ(now, settled || now != ProxyOutcome::kNeedMore ? outcome : ProxyOutcome::kNeedMore)
        << size << " of " << Hex(input);
    settled = settled || now != ProxyOutcome::kNeedMore;
  }
  EXPECT_TRUE(settled) << Hex(input);
}

TEST(ProxyHeader, TellsTheEnds) {
  const std::string long_v6 = "2001:db8:1111:2222:3333:4444:5555:6666";
  const struct {
    std::string header;
    ProxyHeader ends;
  } cases[] = {
      {"PROXY TCP4 192.0.2.1 198.51.100.2 8080 443\r\n",
       {"TCP4", "192.0.2.1", 8080, "198.51.100.2", 443}},
      {"PROXY TCP4 0.0.0.0 255.255.255.255 0 65535\r\n",
       {"TCP4", "0.0.0.0", 0, "255.255.255.255", 65535}},
      {"PROXY TCP6 2001:db8::1 ::1 65535 80\r\n", {"TCP6", "2001:db8::1", 65535, "::1", 80}},
      {"PROXY TCP6 2001:DB8:0:0:0:0:0:1 ::ffff:192.0.2.1 1 80\r\n",
       {"TCP6", "2001:db8::1", 1, "::ffff:192.0.2.1", 80}},
      {"PROXY TCP6 " + long_v6 + " " + long_v6 + " 65535 65535\r\n",
       {"TCP6", long_v6, 65535, long_v6, 65535}},
      {V2(0x21, 0x11, kIpv4Ends), {"TCP4", "192.0.2.1", 8080, "198.51.100.2", 443}},
      {V2(0x21, 0x11, kIpv4Ends + kTlv), {"TCP4", "192.0.2.1", 8080, "198.51.100.2", 443}},
      {V2(0x21, 0x11, kIpv4Ends + std::string(300, 'x')),
       {"TCP4", "192.0.2.1", 8080, "198.51.100.2", 443}},
      {V2(0x21, 0x21, kIpv6Ends), {"TCP6", "2001:db8::1", 65535, "2001:db8::2", 80}},
      {V2(0x21, 0x21, kIpv6Ends + kTlv), {"TCP6", "2001:db8::1", 65535, "2001:db8::2", 80}},
  };
  for (const auto& [header, ends] : cases) {
    for (const std::string& input : {header, header + kRequest, header + header}) {
      const ProxyHeaderScan scan = ScanProxyHeader(input, ProxyProtocol::kAuto);
      ASSERT_EQ(scan.outcome, ProxyOutcome::kAddresses) << Hex(input) << scan.reason;
      EXPECT_EQ(scan.length, header.size());
      EXPECT_EQ(scan.header.protocol, ends.protocol);
      EXPECT_EQ(scan.header.client_host, ends.client_host);
      EXPECT_EQ(scan.header.client_port, ends.client_port);
      EXPECT_EQ(scan.header.proxy_host, ends.proxy_host);
      EXPECT_EQ(scan.header.proxy_port, ends.proxy_port);
    }
    ExpectPrefixesNeedMore(header, ProxyProtocol::kAuto);
  }
}

TEST(ProxyHeader, MayHaveNoAddressesThatHold) {
  const std::string cases[] = {
      "PROXY UNKNOWN\r\n",
      "PROXY UNKNOWN \r\n",
      "PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n",
      "PROXY UNKNOWN \r \n whatever\r\n",
      V2(0x20, 0x00, ""),
      V2(0x20, 0x00, kTlv),
      V2(0x20, 0x11, kIpv4Ends),
      V2(0x20, 0x11, ""),    // LOCAL: the rest does not count
      V2(0x20, 0xff, "xx"),  // nor does the family
      V2(0x21, 0x00, ""),
      V2(0x21, 0x00, kTlv),
      V2(0x21, 0x01, ""),
      V2(0x21, 0x10, kIpv4Ends),
      V2(0x21, 0x12, kIpv4Ends),
      V2(0x21, 0x22, kIpv6Ends),
      V2(0x21, 0x31, std::string(216, 'x')),
      V2(0x21, 0x32, std::string(216, 'x') + kTlv),
  };
  for (const std::string& header : cases) {
    for (const std::string& input : {header, header + kRequest}) {
      const ProxyHeaderScan scan = ScanProxyHeader(input, ProxyProtocol::kAuto);
      EXPECT_EQ(scan.outcome, ProxyOutcome::kLocal) << Hex(input) << scan.reason;
      EXPECT_EQ(scan.length, header.size()) << Hex(input);
    }
    ExpectPrefixesNeedMore(header, ProxyProtocol::kAuto);
  }
}

TEST(ProxyHeader, MayBeTheLongest) {
  const std::string header = V2(0x21, 0x11, kIpv4Ends + std::string(65535 - 12, 'x'));
  ASSERT_EQ(header.size(), kLongestProxyHeader);
  const auto scan = ScanProxyHeader(header + kRequest, ProxyProtocol::kV2);
  EXPECT_EQ(scan.outcome, ProxyOutcome::kAddresses);
  EXPECT_EQ(scan.length, header.size());
  const std::string most = header.substr(0, header.size() - 1);
  EXPECT_EQ(ScanProxyHeader(most, ProxyProtocol::kV2).outcome, ProxyOutcome::kNeedMore);
}

TEST(ProxyHeader, VersionOneIsStrict) {
  const char* const lines[] = {
      "PROXY \r\n",
      "PROXY  TCP4 192.0.2.1 192.0.2.2 1 2\r\n",
      "PROXY TCP5 192.0.2.1 192.0.2.2 1 2\r\n",
      "PROXY tcp4 192.0.2.1 192.0.2.2 1 2\r\n",
      "PROXY UNKNOWNS\r\n",
      "PROXY unknown\r\n",
      "PROXY TCP4\r\n",
      "PROXY TCP4 192.0.2.1\r\n",
      "PROXY TCP4 192.0.2.1 192.0.2.2\r\n",
      "PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n",
      "PROXY TCP4 192.0.2.1 192.0.2.2 1 \r\n",
      "PROXY TCP4 192.0.2.1 192.0.2.2 1 2 \r\n",
      "PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n",
      "PROXY TCP4  192.0.2.1 192.0.2.2 1 2\r\n",
      "PROXY TCP4 192.0.2.1  192.0.2.2 1 2\r\n",
      "PROXY TCP4 192.0.2.1 192.0.2.2  1 2\r\n",
      "PROXY TCP4 192.0.2.1 192.0.2.2 1  2\r\n",
      "PROXY\tTCP4 192.0.2.1 192.0.2.2 1 2\r\n",
      "PROXY TCP4\t192.0.2.1 192.0.2.2 1 2\r\n",
      "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n\r\n",
      "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\r\n",
      "PROXY TCP4 ::1 192.0.2.2 1 2\r\n",
      "PROXY TCP4 192.0.2.1 ::1 1 2\r\n",
      "PROXY TCP6 192.0.2.1 ::1 1 2\r\n",
      "PROXY TCP6 ::1 192.0.2.1 1 2\r\n",
      "PROXY TCP6 [::1] ::1 1 2\r\n",
      "PROXY TCP6 ::1%lo ::1 1 2\r\n",
      "PROXY TCP4 192.0.2.256 192.0.2.2 1 2\r\n",
      "PROXY TCP4 192.0.2.01 192.0.2.2 1 2\r\n",
      "PROXY TCP4 192.0.2 192.0.2.2 1 2\r\n",
      "PROXY TCP4 localhost 192.0.2.2 1 2\r\n",
      "PROXY TCP4 192.0.2.1 192.0.2.2 65536 2\r\n",
      "PROXY TCP4 192.0.2.1 192.0.2.2 1 65536\r\n",
      "PROXY TCP4 192.0.2.1 192.0.2.2 01 2\r\n",
      "PROXY TCP4 192.0.2.1 192.0.2.2 1 00\r\n",
      "PROXY TCP4 192.0.2.1 192.0.2.2 -1 2\r\n",
      "PROXY TCP4 192.0.2.1 192.0.2.2 +1 2\r\n",
      "PROXY TCP4 192.0.2.1 192.0.2.2 0x1 2\r\n",
      "PROXY TCP4 192.0.2.1 192.0.2.2 1 2x\r\n",
      "PROXY / HTTP/1.1\r\n",
  };
  for (const std::string line : lines) {
    if (line.starts_with("PROXY ")) {
      ExpectPrefixesAgree(line + kRequest, ProxyOutcome::kMalformed, ProxyProtocol::kAuto);
      EXPECT_STRNE(ScanProxyHeader(line, ProxyProtocol::kV1).reason, "");
    } else {
      ExpectPrefixesAgree(line, ProxyOutcome::kAbsent, ProxyProtocol::kAuto);
    }
  }
  const std::string nul("PROXY TCP4 192.0.2.1\0 192.0.2.2 1 2\r\n", 37);
  ExpectPrefixesAgree(nul, ProxyOutcome::kMalformed, ProxyProtocol::kV1);
}

TEST(ProxyHeader, VersionOneIsAtMost107Bytes) {
  const std::string start = "PROXY UNKNOWN ";
  const std::string longest = start + std::string(105 - start.size(), 'x') + "\r\n";
  ASSERT_EQ(longest.size(), 107u);
  EXPECT_EQ(ScanProxyHeader(longest, ProxyProtocol::kV1).outcome, ProxyOutcome::kLocal);
  ExpectPrefixesNeedMore(longest, ProxyProtocol::kV1);
  const std::string longer = start + std::string(106 - start.size(), 'x') + "\r\n";
  EXPECT_EQ(ScanProxyHeader(longer, ProxyProtocol::kV1).outcome, ProxyOutcome::kMalformed);
  ExpectPrefixesAgree(longer, ProxyOutcome::kMalformed, ProxyProtocol::kV1);
}

TEST(ProxyHeader, VersionTwoIsStrict) {
  const std::string headers[] = {
      V2(0x11, 0x11, kIpv4Ends),
      V2(0x31, 0x11, kIpv4Ends),
      V2(0x01, 0x11, kIpv4Ends),
      V2(0x22, 0x11, kIpv4Ends),
      V2(0x2f, 0x11, kIpv4Ends),
      V2(0x21, 0x13, kIpv4Ends),
      V2(0x21, 0x41, kIpv4Ends),
      V2(0x21, 0x11, kIpv4Ends.substr(1)),
      V2(0x21, 0x11, ""),
      V2(0x21, 0x12, ""),
      V2(0x21, 0x21, kIpv6Ends.substr(1)),
      V2(0x21, 0x21, kIpv4Ends),
      V2(0x21, 0x31, std::string(215, 'x')),
  };
  for (const std::string& header : headers) {
    ExpectPrefixesAgree(header + kRequest, ProxyOutcome::kMalformed, ProxyProtocol::kAuto);
    EXPECT_STRNE(ScanProxyHeader(header, ProxyProtocol::kV2).reason, "");
  }
}

TEST(ProxyHeader, IsAbsentFromARequest) {
  for (const std::string input :
       {"GET / HTTP/1.1\r\n", "POST /", "PROPFIND / HTTP/1.1\r\n", "PROXYING / HTTP/1.1\r\n",
        "proxy TCP4", "\r\nGET /", "\r\n\r\nGET /", "\n", " ", "\x16\x03\x01"}) {
    for (const auto mode : {ProxyProtocol::kV1, ProxyProtocol::kV2, ProxyProtocol::kAuto})
      ExpectPrefixesAgree(input, ProxyOutcome::kAbsent, mode);
    EXPECT_EQ(ScanProxyHeader(input, ProxyProtocol::kAuto).length, 0u);
  }
}

TEST(ProxyHeader, IsLookedForInTheAcceptedVersions) {
  const std::string v1 = "PROXY TCP4 192.0.2.1 198.51.100.2 8080 443\r\n";
  const std::string v2 = V2(0x21, 0x11, kIpv4Ends);
  const struct {
    ProxyProtocol accepted;
    ProxyOutcome v1;
    ProxyOutcome v2;
    ProxyOutcome nothing;
  } cases[] = {
      {ProxyProtocol::kOff, ProxyOutcome::kAbsent, ProxyOutcome::kAbsent, ProxyOutcome::kAbsent},
      {ProxyProtocol::kV1, ProxyOutcome::kAddresses, ProxyOutcome::kAbsent,
       ProxyOutcome::kNeedMore},
      {ProxyProtocol::kV2, ProxyOutcome::kAbsent, ProxyOutcome::kAddresses,
       ProxyOutcome::kNeedMore},
      {ProxyProtocol::kAuto, ProxyOutcome::kAddresses, ProxyOutcome::kAddresses,
       ProxyOutcome::kNeedMore},
  };
  for (const auto& expected : cases) {
    EXPECT_EQ(ScanProxyHeader(v1, expected.accepted).outcome, expected.v1);
    EXPECT_EQ(ScanProxyHeader(v2, expected.accepted).outcome, expected.v2);
    EXPECT_EQ(ScanProxyHeader("", expected.accepted).outcome, expected.nothing);
  }
  EXPECT_EQ(ScanProxyHeader("P", ProxyProtocol::kOff).outcome, ProxyOutcome::kAbsent);
  EXPECT_EQ(ScanProxyHeader("P", ProxyProtocol::kV2).outcome, ProxyOutcome::kAbsent);
  EXPECT_EQ(ScanProxyHeader("\r", ProxyProtocol::kV1).outcome, ProxyOutcome::kAbsent);
}

}  // namespace
}  // namespace gunid

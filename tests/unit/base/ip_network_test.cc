#include "base/ip_network.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <string>

namespace gunid {
namespace {

using testing::HasSubstr;

IpAddress Address(std::string_view text) {
  const auto address = IpAddress::Parse(text);
  EXPECT_TRUE(address) << text;
  return address.value_or(IpAddress());
}

TEST(IpAddress, ParsesBothFamilies) {
  const struct {
    const char* text;
    const char* same;
  } cases[] = {
      {"192.0.2.1", "192.0.2.1"},       {"192.0.2.1", "::ffff:192.0.2.1"},
      {"192.0.2.1", "::FFFF:C000:201"}, {"2001:db8::1", "2001:0DB8:0:0:0:0:0:1"},
      {"::", "0:0:0:0:0:0:0:0"},
  };
  for (const auto& [text, same] : cases) EXPECT_EQ(Address(text), Address(same)) << text;
  EXPECT_NE(Address("192.0.2.1"), Address("192.0.2.2"));
  EXPECT_NE(Address("192.0.2.1"), Address("::192.0.2.1"));
  EXPECT_NE(Address("0.0.0.0"), Address("::"));
}

TEST(IpAddress, RefusesWhatIsNone) {
  for (const std::string_view text :
       {"", " ", "localhost", "1.2.3", "1.2.3.4.5", "1.2.3.256", "01.2.3.4", "1.2.3.4 ", " 1.2.3.4",
        "1.2.3.4:80", "1.2.3.4/8", "[::1]", "::1%lo", ":::", "1::2::3", "12345::", "0x7f.0.0.1",
        "2130706433"}) {
    EXPECT_FALSE(IpAddress::Parse(text)) << text;
  }
  EXPECT_FALSE(IpAddress::Parse(std::string_view("1.2.3.4\0", 8)));
  EXPECT_FALSE(IpAddress::Parse(std::string_view("::1\0x", 5)));
}

TEST(IpAddress, IsThatOfASocketAddress) {
  sockaddr_in ipv4{};
  ipv4.sin_family = AF_INET;
  ASSERT_EQ(inet_pton(AF_INET, "192.0.2.1", &ipv4.sin_addr), 1);
  sockaddr_in6 ipv6{};
  ipv6.sin6_family = AF_INET6;
  ASSERT_EQ(inet_pton(AF_INET6, "2001:db8::1", &ipv6.sin6_addr), 1);
  sockaddr_un local{};
  local.sun_family = AF_UNIX;
  EXPECT_EQ(IpAddress::Of(reinterpret_cast<sockaddr*>(&ipv4)), Address("192.0.2.1"));
  EXPECT_EQ(IpAddress::Of(reinterpret_cast<sockaddr*>(&ipv6)), Address("2001:db8::1"));
  EXPECT_EQ(IpAddress::Of(reinterpret_cast<sockaddr*>(&local)), std::nullopt);
  ASSERT_EQ(inet_pton(AF_INET6, "::ffff:192.0.2.1", &ipv6.sin6_addr), 1);
  EXPECT_EQ(IpAddress::Of(reinterpret_cast<sockaddr*>(&ipv6)), Address("192.0.2.1"));
}

TEST(IpNetworks, Contain) {
  const struct {
    const char* list;
    const char* address;
    bool contained;
  } cases[] = {
      {"", "127.0.0.1", false},
      {" \n", "::1", false},
      {"*", "127.0.0.1", true},
      {"*", "2001:db8::1", true},
      {"10.0.0.1, *", "2001:db8::1", true},
      {"127.0.0.1,::1", "127.0.0.1", true},
      {"127.0.0.1,::1", "::1", true},
      {"127.0.0.1,::1", "::ffff:127.0.0.1", true},
      {"127.0.0.1,::1", "127.0.0.2", false},
      {"127.0.0.1,::1", "::2", false},
      {" 10.0.0.1 ,\n\t10.0.0.2\n", "10.0.0.1", true},
      {" 10.0.0.1 ,\n\t10.0.0.2\n", "10.0.0.2", true},
      {"10.0.0.0/8", "10.255.255.255", true},
      {"10.0.0.0/8", "11.0.0.0", false},
      {"10.0.0.0/8", "9.255.255.255", false},
      {"10.0.0.0/8", "a00::", false},
      {"192.168.4.0/22", "192.168.7.255", true},
      {"192.168.4.0/22", "192.168.8.0", false},
      {"192.168.4.0/22", "192.168.3.255", false},
      {"192.0.2.128/25", "192.0.2.127", false},
      {"192.0.2.128/25", "192.0.2.128", true},
      {"192.0.2.1/32", "192.0.2.1", true},
      {"192.0.2.1/32", "192.0.2.0", false},
      {"0.0.0.0/0", "255.255.255.255", true},
      {"0.0.0.0/0", "::1", false},
      {"::/0", "2001:db8::1", true},
      {"::/0", "192.0.2.1", true},
      {"::ffff:10.0.0.0/104", "10.1.2.3", true},
      {"2001:db8::/32", "2001:db8:ffff::", true},
      {"2001:db8::/32", "2001:db9::", false},
      {"fe80::/10", "febf::1", true},
      {"fe80::/10", "fec0::1", false},
      {"2001:db8::1/128", "2001:db8::1", true},
      {"2001:db8::1/128", "2001:db8::", false},
      {"10.0.0.0/8,fd00::/8", "fd12::1", true},
      {"10.0.0.0/8,fd00::/8", "10.1.1.1", true},
      {"10.0.0.0/8,fd00::/8", "192.0.2.1", false},
  };
  for (const auto& [list, address, contained] : cases) {
    const auto networks = IpNetworks::Parse(list);
    ASSERT_TRUE(networks) << list << ": " << networks.error().message;
    EXPECT_EQ(networks->Contains(Address(address)), contained) << list << ": " << address;
  }
}

TEST(IpNetworks, NameTheEntryThatIsWrong) {
  const struct {
    const char* list;
    const char* message;
  } cases[] = {
      {"localhost", "'localhost' is not an IP address or network"},
      {"127.0.0.1,example.com,*", "'example.com' is not an IP address or network"},
      {"10.0.0.1/8", "'10.0.0.1/8' has host bits set"},
      {"10.0.0.0/7,10.0.0.0/6", "'10.0.0.0/6' has host bits set"},
      {"0.0.0.1/0", "'0.0.0.1/0' has host bits set"},
      {"2001:db8::1/127", "'2001:db8::1/127' has host bits set"},
      {"::ffff:10.0.0.1/8", "'::ffff:10.0.0.1/8' has host bits set"},
      {"10.0.0.0/33", "'10.0.0.0/33' has no prefix length of 0 to 32"},
      {"10.0.0.0/-1", "'10.0.0.0/-1' has no prefix length of 0 to 32"},
      {"10.0.0.0/", "'10.0.0.0/' has no prefix length of 0 to 32"},
      {"10.0.0.0/ 8", "'10.0.0.0/ 8' has no prefix length of 0 to 32"},
      {"10.0.0.0/8/8", "'10.0.0.0/8/8' has no prefix length of 0 to 32"},
      {"10.0.0.0/99999999999999999999", "has no prefix length of 0 to 32"},
      {"::/129", "'::/129' has no prefix length of 0 to 128"},
      {"*/8", "'*/8' is not an IP address or network"},
      {"/8", "'/8' is not an IP address or network"},
      {"127.0.0.1,", "'' is not an IP address or network"},
      {",", "'' is not an IP address or network"},
      {"127.0.0.1,,::1", "'' is not an IP address or network"},
      {"127.0.0.1 ::1", "'127.0.0.1 ::1' is not an IP address or network"},
      {"[::1]", "'[::1]' is not an IP address or network"},
      {"a\nb\xff", "'a?b?' is not an IP address or network"},
  };
  for (const auto& [list, message] : cases) {
    const auto networks = IpNetworks::Parse(list);
    ASSERT_FALSE(networks) << list;
    EXPECT_THAT(networks.error().message, HasSubstr(message));
  }
}

}  // namespace
}  // namespace gunid

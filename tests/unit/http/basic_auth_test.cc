#include "http/basic_auth.h"

#include <gtest/gtest.h>

namespace gunid {
namespace {

TEST(BasicAuthUser, IsWhatStandsBeforeTheColon) {
  const std::pair<const char*, const char*> rows[] = {
      {"Basic YW5uYTpzZWNyZXQ=", "anna"},    // anna:secret
      {"basic YW5uYTpzZWNyZXQ=", "anna"},    // any case
      {"Basic  YW5uYTpzZWNyZXQ= ", "anna"},  // with blanks
      {"Basic YTpiOmM=", "a"},               // a:b:c
      {"Basic OnNlY3JldA==", ""},            // :secret
      {"Basic YTo=", "a"},                   // a:
      {"Basic w7x+PzpwPz8/", "\xC3\xBC~?"},  // ü~?:p???
  };
  for (const auto& [field, user] : rows) EXPECT_EQ(BasicAuthUser(field), user) << field;
}

TEST(BasicAuthUser, NobodyElse) {
  for (const char* field :
       {"", "Basic", "Basic ", "Basic !!!!", "Basic YW5uYQ==" /* no colon */,
        "Basic YTpi=", "Basic YT=i", "Bearer YW5uYTpzZWNyZXQ=", "Basic =", "Basic ===="}) {
    EXPECT_EQ(BasicAuthUser(field), std::nullopt) << field;
  }
}

}  // namespace
}  // namespace gunid

#include "http/status_text.h"

#include <gtest/gtest.h>

namespace gunid {
namespace {

TEST(StatusText, ReasonPhrases) {
  EXPECT_EQ(ReasonPhrase(200), "OK");
  EXPECT_EQ(ReasonPhrase(404), "Not Found");
  EXPECT_EQ(ReasonPhrase(431), "Request Header Fields Too Large");
  EXPECT_EQ(ReasonPhrase(505), "HTTP Version Not Supported");
  EXPECT_EQ(ReasonPhrase(299), "");
  EXPECT_EQ(ReasonPhrase(-1), "");
}

TEST(StatusText, ErrorPageEscapesTheDetail) {
  const std::string page = ErrorPage(400, "<b>\"it's\" & more</b>");
  EXPECT_NE(page.find("<h1>400 Bad Request</h1>"), std::string::npos);
  EXPECT_NE(page.find("&lt;b&gt;&quot;it&#x27;s&quot; &amp; more&lt;/b&gt;"), std::string::npos);
  EXPECT_EQ(page.find("<b>"), std::string::npos);
}

}  // namespace
}  // namespace gunid

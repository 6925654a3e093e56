#include "config/shell_words.h"

#include <optional>

namespace gunid {

Result<std::vector<std::string>> SplitShellWords(std::string_view line) {
  std::vector<std::string> words;
  std::optional<std::string> word;  // the one being read; "" is a word too
  char quote = 0;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (quote == 0 && std::string_view(" \t\r\n").find(c) != std::string_view::npos) {
      if (word) words.push_back(*std::exchange(word, std::nullopt));
      continue;
    }
    if (!word) word.emplace();
    if (c == quote) {
      quote = 0;
    } else if (quote == 0 && (c == '\'' || c == '"')) {
      quote = c;
    } else if (c == '\\' && quote != '\'') {
      if (++i == line.size()) return Error{"a backslash at the end has nothing to quote"};
      // Between double quotes a backslash stands for itself unless it is needed.
      if (quote == '"' && line[i] != '"' && line[i] != '\\') *word += '\\';
      *word += line[i];
    } else {
      *word += c;
    }
  }
  if (quote != 0) return Error{std::string("a quote ") + quote + " is not closed"};
  if (word) words.push_back(*word);
  return words;
}

}  // namespace gunid

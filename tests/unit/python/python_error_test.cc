#include "python/python_error.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>

#include "python/python_fixture.h"

namespace gunid {
namespace {

using ::testing::HasSubstr;

PythonError ErrorOf(const std::string& source) {
  const PyRef globals = PyRef::Steal(PyDict_New());
  const PyRef result =
      PyRef::Steal(PyRun_String(source.c_str(), Py_file_input, globals.get(), globals.get()));
  EXPECT_FALSE(result);
  PythonError error = FetchPythonError();
  EXPECT_EQ(nullptr, PyErr_Occurred());
  return error;
}

TEST(PythonError, SummarizesInOneLine) {
  const struct {
    const char* source;
    const char* summary;
  } cases[] = {
      {"raise ValueError('x')", "ValueError: x"},
      {"raise ValueError", "ValueError"},
      {"raise ValueError('a\\nb\\r')", "ValueError: a b "},
      {"import nope", "ModuleNotFoundError: No module named 'nope'"},
      {"import json\njson.loads('{')",
       "json.decoder.JSONDecodeError: Expecting property name enclosed in double quotes: line 1 "
       "column 2 (char 1)"},
      {"raise SystemExit(3)", "SystemExit: 3"},
      {"raise ValueError('\\udcff')", "ValueError: \\udcff"},
      {"class E(Exception):\n  def __str__(self): 1/0\nraise E", "<exception str() failed>"},
  };
  for (const auto& [source, summary] : cases) {
    EXPECT_THAT(ErrorOf(source).summary, HasSubstr(summary)) << source;
  }
}

TEST(PythonError, HasCausesInItsTraceback) {
  const PythonError error = ErrorOf(
      "def f():\n"
      "  1/0\n"
      "try:\n"
      "  f()\n"
      "except ZeroDivisionError as e:\n"
      "  raise KeyError('outer') from e\n");
  EXPECT_THAT(error.traceback, HasSubstr("ZeroDivisionError: division by zero"));
  EXPECT_THAT(error.traceback, HasSubstr("direct cause"));
  EXPECT_THAT(error.traceback, ::testing::EndsWith("KeyError: 'outer'"));
}

TEST(PythonError, TurnsCppExceptionsIntoPythonOnes) {
  EXPECT_EQ(7, GuardCallback(7, []() -> int { throw std::runtime_error("from C++"); }));
  EXPECT_EQ("RuntimeError: from C++", FetchPythonError().summary);
  EXPECT_EQ(7, GuardCallback(7, []() -> int { throw std::bad_alloc(); }));
  EXPECT_EQ("MemoryError", FetchPythonError().summary);
}

}  // namespace
}  // namespace gunid

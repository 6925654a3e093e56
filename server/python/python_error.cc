#include "python/python_error.h"

#include <algorithm>
#include <optional>

#include "python/py_text.h"

namespace gunid {
namespace {

struct Exception {
  PyRef type;
  PyRef value;
  PyRef traceback;
};

Exception TakeException() {
  PyObject* type = nullptr;
  PyObject* value = nullptr;
  PyObject* traceback = nullptr;
  PyErr_Fetch(&type, &value, &traceback);
  PyErr_NormalizeException(&type, &value, &traceback);
  if (value != nullptr && traceback != nullptr) PyException_SetTraceback(value, traceback);
  return {PyRef::Steal(type), PyRef::Steal(value), PyRef::Steal(traceback)};
}

// nullopt, with the exception that prevented it cleared.
std::optional<std::string> TextOf(const PyRef& object) {
  std::optional<std::string> text;
  if (object && PyUnicode_Check(object.get())) text = Utf8(object.get());
  PyErr_Clear();
  return text;
}

std::string TypeName(const PyRef& type) {
  if (!type) return "unknown error";
  const auto name =
      TextOf(PyRef::Steal(PyObject_GetAttrString(type.get(), "__qualname__"))).value_or("error");
  const auto module = TextOf(PyRef::Steal(PyObject_GetAttrString(type.get(), "__module__")));
  if (!module || *module == "builtins" || *module == "__main__") return name;
  return *module + "." + name;
}

std::string OneLine(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](char c) { return c == '\n' || c == '\r'; }, ' ');
  return text;
}

std::string Summary(const std::string& type_name, const PyRef& value) {
  if (!value) return type_name;
  const auto text = TextOf(PyRef::Steal(PyObject_Str(value.get())));
  if (!text) return type_name + ": <exception str() failed>";
  return text->empty() ? type_name : type_name + ": " + OneLine(*text);
}

std::optional<std::string> Traceback(const Exception& exception) {
  PyRef module = PyRef::Steal(PyImport_ImportModule("traceback"));
  PyObject* const none = Py_None;
  PyRef lines;
  if (module && exception.value) {
    lines = PyRef::Steal(PyObject_CallMethod(
        module.get(), "format_exception", "OOO", exception.type.get(), exception.value.get(),
        exception.traceback ? exception.traceback.get() : none));
  }
  PyRef separator = PyRef::Steal(PyUnicode_FromString(""));
  PyRef joined;
  if (lines && separator) {
    joined = PyRef::Steal(PyUnicode_Join(separator.get(), lines.get()));
  }
  return TextOf(joined);
}

}  // namespace

PythonError FetchPythonError() {
  const Exception exception = TakeException();
  PythonError error;
  error.type = TypeName(exception.type);
  error.summary = Summary(error.type, exception.value);
  error.traceback = Traceback(exception).value_or(error.summary);
  while (error.traceback.ends_with('\n')) error.traceback.pop_back();
  return error;
}

Error FetchError(const std::string& context, int exit_code) {
  PythonError error = FetchPythonError();
  return Error{context + ": " + error.summary, exit_code, std::move(error.traceback)};
}

}  // namespace gunid

#include "python/config_file.h"

#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>

#include "config/settings_table.h"
#include "gunid/exit_codes.h"
#include "python/py_ref.h"
#include "python/py_text.h"
#include "python/python_error.h"

namespace gunid {
namespace {

using nlohmann::json;

constexpr char kDefaultPath[] = "gunicorn.conf.py";
constexpr char kModuleName[] = "__config__";
constexpr std::string_view kFilePrefix = "file:";
constexpr std::string_view kModulePrefix = "python:";

Error ConfigError(std::string message) {
  return {std::move(message), exit_code::kConfig};
}

Error ExecutionError(const std::string& origin) {
  return FetchError("configuration file '" + origin + "' failed", exit_code::kConfig);
}

Result<std::string> ReadFile(const std::string& path) {
  std::error_code error;
  if (!std::filesystem::exists(path, error)) {
    return ConfigError("configuration file '" + path + "' does not exist");
  }
  if (std::filesystem::is_directory(path, error)) {
    return ConfigError("configuration file '" + path + "' is a directory");
  }
  errno = 0;
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  if (!in) return ConfigError(Errno("configuration file '" + path + "'").message);
  return std::move(text).str();
}

// Runs the file as the module __config__, which stays in sys.modules: what the file defines may be
// used later.
Result<PyRef> RunFile(const std::string& path) {
  const Result<std::string> source = ReadFile(path);
  if (!source) return source.error();
  const PyRef file_name = FileSystemText(path);
  const PyRef module = PyRef::Steal(PyModule_New(kModuleName));
  const PyRef builtins = PyRef::Steal(PyImport_ImportModule("builtins"));
  if (!file_name || !module || !builtins) return ExecutionError(path);
  PyObject* const globals = PyModule_GetDict(module.get());
  // compile() of bytes, because it honours the coding declaration and refuses NUL.
  const PyRef code = PyRef::Steal(
      PyObject_CallMethod(builtins.get(), "compile", "y#Os", source->data(),
                          static_cast<Py_ssize_t>(source->size()), file_name.get(), "exec"));
  if (!code || PyDict_SetItemString(PyImport_GetModuleDict(), kModuleName, module.get()) != 0 ||
      PyDict_SetItemString(globals, "__builtins__", builtins.get()) != 0 ||
      PyDict_SetItemString(globals, "__file__", file_name.get()) != 0) {
    return ExecutionError(path);
  }
  const PyRef result = PyRef::Steal(PyEval_EvalCode(code.get(), globals, globals));
  if (!result) return ExecutionError(path);
  return PyRef::Borrow(globals);
}

Result<PyRef> RunModule(const std::string& name, const std::string& origin) {
  const PyRef module = PyRef::Steal(PyImport_ImportModule(name.c_str()));
  if (!module) return ExecutionError(origin);
  return PyRef::Borrow(PyModule_GetDict(module.get()));
}

std::optional<json> ScalarToJson(PyObject* value) {
  if (PyBool_Check(value)) return value == Py_True;
  if (PyLong_Check(value)) {
    const long long number = PyLong_AsLongLong(value);
    if (PyErr_Occurred() == nullptr) return number;
  } else if (PyFloat_Check(value)) {
    const double number = PyFloat_AsDouble(value);
    if (std::isfinite(number)) return number;
  } else if (PyUnicode_Check(value)) {
    Py_ssize_t size = 0;
    const char* text = PyUnicode_AsUTF8AndSize(value, &size);
    if (text != nullptr) return std::string(text, static_cast<std::size_t>(size));
  }
  PyErr_Clear();
  return std::nullopt;
}

std::optional<json> StringToJson(PyObject* value) {
  return PyUnicode_Check(value) ? ScalarToJson(value) : std::nullopt;
}

std::optional<json> ListToJson(PyObject* value) {
  const PyRef items = PyRef::Steal(PySequence_Tuple(value));
  json list = json::array();
  for (Py_ssize_t i = 0; items && i < PyTuple_GET_SIZE(items.get()); ++i) {
    std::optional<json> text = StringToJson(PyTuple_GET_ITEM(items.get(), i));
    if (!text) return std::nullopt;
    list.push_back(std::move(*text));
  }
  return list;
}

std::optional<json> DictToJson(PyObject* value) {
  json dict = json::object();
  PyObject* key = nullptr;
  PyObject* item = nullptr;
  for (Py_ssize_t position = 0; PyDict_Next(value, &position, &key, &item) != 0;) {
    const std::optional<json> name = StringToJson(key);
    std::optional<json> text = StringToJson(item);
    if (!name || !text) return std::nullopt;
    dict[name->get_ref<const std::string&>()] = std::move(*text);
  }
  return dict;
}

std::optional<json> ToJson(PyObject* value) {
  if (PyDict_Check(value)) return DictToJson(value);
  const bool is_list = PyList_Check(value) || PyTuple_Check(value);
  return is_list ? ListToJson(value) : ScalarToJson(value);
}

Error ValueError(const std::string& name, PyObject* value, const std::string& origin) {
  const PyRef repr = PyRef::Steal(PyObject_Repr(value));
  const std::optional<std::string> text = repr ? Utf8(repr.get()) : std::nullopt;
  PyErr_Clear();
  return ConfigError("invalid value " + text.value_or(Py_TYPE(value)->tp_name) + " for " + name +
                     " (" + origin +
                     "): expected a string, number, boolean, None, or a list or dict of strings");
}

// `None` leaves a setting at its default, and False is how Gunicorn's optional features are off.
bool IsSet(PyObject* value) {
  return value != Py_None && value != Py_False;
}

Result<ConfigFile> CollectSettings(const PyRef& globals, const std::string& origin) {
  ConfigFile file;
  file.layer.origin = origin;
  json values = json::object();
  // A copy, because repr() of a value may run code that changes the module.
  const PyRef names = PyRef::Steal(PyDict_Copy(globals.get()));
  if (!names) return ExecutionError(origin);
  PyObject* key = nullptr;
  PyObject* value = nullptr;
  for (Py_ssize_t position = 0; PyDict_Next(names.get(), &position, &key, &value) != 0;) {
    const std::optional<std::string> name = PyUnicode_Check(key) ? Utf8(key) : std::nullopt;
    if (!name) continue;
    if (FindSetting(*name) != nullptr && value != Py_None) {
      std::optional<json> converted = ToJson(value);
      if (!converted) return ValueError(*name, value, origin);
      values[*name] = std::move(*converted);
    } else if (IsUnsupportedGunicornSetting(*name) && IsSet(value)) {
      file.warnings.push_back(*name + " is not supported and is ignored");
    }
  }
  file.layer.values = values.dump();
  return file;
}

Result<PyRef> RunConfig(const std::string& path) {
  if (path.starts_with(kModulePrefix)) return RunModule(path.substr(kModulePrefix.size()), path);
  if (path.starts_with(kFilePrefix)) return RunFile(path.substr(kFilePrefix.size()));
  return RunFile(path);
}

}  // namespace

Result<ConfigFile> LoadConfigFile(const std::string& path) {
  std::error_code error;
  if (path.empty() && !std::filesystem::exists(kDefaultPath, error)) {
    return ConfigFile{{kDefaultPath, "{}"}, {}};
  }
  const std::string origin = path.empty() ? kDefaultPath : path;
  const Result<PyRef> globals = RunConfig(origin);
  if (!globals) return globals.error();
  return CollectSettings(*globals, origin);
}

}  // namespace gunid

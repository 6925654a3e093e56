#include "python/loaded_files.h"

#include <optional>
#include <string_view>

#include "python/py_ref.h"

namespace gunid {
namespace {

// nullopt for what is no module (anything may be in sys.modules) or has no file.
std::optional<std::string> FileOf(PyObject* module) {
  if (module == nullptr || !PyModule_Check(module)) return std::nullopt;
  PyObject* const file = PyDict_GetItemString(PyModule_GetDict(module), "__file__");
  if (file == nullptr || !PyUnicode_Check(file)) return std::nullopt;
  const PyRef bytes = PyRef::Steal(PyUnicode_EncodeFSDefault(file));
  if (!bytes) {
    PyErr_Clear();
    return std::nullopt;
  }
  return std::string(PyBytes_AS_STRING(bytes.get()),
                     static_cast<std::size_t>(PyBytes_GET_SIZE(bytes.get())));
}

// "/usr/lib/python3.11/", where the module os is; "" if nobody knows.
std::string StandardLibrary(PyObject* modules) {
  const auto file = FileOf(PyDict_GetItemString(modules, "os"));
  return file ? file->substr(0, file->rfind('/') + 1) : "";
}

bool IsOfStandardLibrary(std::string_view file, std::string_view directory) {
  return !directory.empty() && file.starts_with(directory) &&
         file.find("-packages/") == std::string_view::npos;  // site-packages, dist-packages
}

}  // namespace

std::vector<std::string> LoadedFiles::TakeNew() {
  PyObject* const modules = PyImport_GetModuleDict();
  const Py_ssize_t count = PyDict_Size(modules);
  if (count == modules_) return {};
  modules_ = count;
  const std::string standard_library = StandardLibrary(modules);
  std::vector<std::string> files;
  PyObject* name = nullptr;
  PyObject* module = nullptr;
  for (Py_ssize_t at = 0; PyDict_Next(modules, &at, &name, &module) != 0;) {
    auto file = FileOf(module);
    if (!file || IsOfStandardLibrary(*file, standard_library)) continue;
    if (known_.insert(*file).second) files.push_back(std::move(*file));
  }
  return files;
}

}  // namespace gunid

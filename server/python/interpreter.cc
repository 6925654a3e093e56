#include "python/interpreter.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <map>

#include "gunid/exit_codes.h"
#include "python/py_ref.h"
#include "python/py_text.h"
#include "python/python_error.h"
#include "python/request_timeout.h"

namespace gunid {
namespace {

Error ConfigError(std::string message) {
  return {std::move(message), exit_code::kConfig};
}

std::string Trim(const std::string& text) {
  const auto first = text.find_first_not_of(" \t\r");
  if (first == std::string::npos) return "";
  return text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

// pyvenv.cfg: lines of "key = value".
std::map<std::string, std::string> ReadVenvConfig(std::istream& in) {
  std::map<std::string, std::string> values;
  for (std::string line; std::getline(in, line);) {
    const auto equals = line.find('=');
    if (equals == std::string::npos) continue;
    values[Trim(line.substr(0, equals))] = Trim(line.substr(equals + 1));
  }
  return values;
}

// The first `parts` numbers of "3.11.2.final.0".
std::string VersionPrefix(const std::string& version, int parts) {
  std::size_t end = 0;
  for (int i = 0; i < parts && end != std::string::npos; ++i) {
    end = version.find('.', i == 0 ? 0 : end + 1);
  }
  return version.substr(0, end);
}

bool SameDirectory(const std::filesystem::path& a, const std::filesystem::path& b) {
  std::error_code error;
  return std::filesystem::equivalent(a, b, error) && !error;
}

// Python accepts a virtual environment of any other Python in silence, and then finds the wrong
// standard library or none of the installed packages.
Status CheckVenv(const std::string& venv) {
  std::ifstream in(venv + "/pyvenv.cfg");
  if (!in) return ConfigError("'" + venv + "' is not a virtual environment: it has no pyvenv.cfg");
  auto config = ReadVenvConfig(in);
  // venv writes "version", virtualenv "version_info".
  const std::string& version =
      config.count("version") != 0 ? config["version"] : config["version_info"];
  const bool same_minor = VersionPrefix(version, 2) == VersionPrefix(PY_VERSION, 2);
  const bool same_version = VersionPrefix(version, 3) == VersionPrefix(PY_VERSION, 3);
  const auto own_home = std::filesystem::path(GUNID_PYTHON_EXECUTABLE).parent_path();
  if (same_version || (same_minor && SameDirectory(config["home"], own_home))) return {};
  return ConfigError("virtual environment '" + venv + "' was made by Python " +
                     (version.empty() ? "of unknown version" : version) + " in '" + config["home"] +
                     "', but gunid was built with Python " PY_VERSION " (" GUNID_PYTHON_EXECUTABLE
                     ")");
}

Status ToStatus(const PyStatus& status) {
  if (!PyStatus_Exception(status)) return {};
  return ConfigError(std::string("cannot start Python: ") +
                     (status.err_msg != nullptr ? status.err_msg : "it asked to exit"));
}

class Config {
 public:
  Config() { PyConfig_InitPythonConfig(&config_); }
  ~Config() { PyConfig_Clear(&config_); }
  Config(const Config&) = delete;
  Config& operator=(const Config&) = delete;

  Status Start(const std::string& program_name) {
    config_.install_signal_handlers = 0;
    config_.parse_argv = 0;
    PyStatus status =
        PyConfig_SetBytesString(&config_, &config_.program_name, program_name.c_str());
    wchar_t name[] = L"gunid";
    wchar_t* argv[] = {name};
    if (!PyStatus_Exception(status)) status = PyConfig_SetArgv(&config_, 1, argv);
    if (!PyStatus_Exception(status)) status = Py_InitializeFromConfig(&config_);
    return ToStatus(status);
  }

 private:
  PyConfig config_;
};

// Python's signal module installs a SIGINT handler when it is first imported, whatever
// install_signal_handlers says. So that happens here, and is undone, also in what Python believes:
// asyncio.run() puts its own handler in the place of default_int_handler.
Status ImportSignalModule() {
  struct sigaction interrupt {};
  sigaction(SIGINT, nullptr, &interrupt);
  const PyRef module = PyRef::Steal(PyImport_ImportModule("signal"));
  const PyRef restored =
      module ? PyRef::Steal(PyObject_CallMethod(module.get(), "signal", "ii", SIGINT, 0)) : PyRef();
  sigaction(SIGINT, &interrupt, nullptr);
  if (!restored) return FetchError("cannot start Python", exit_code::kConfig);
  return {};
}

std::string Absolute(const std::string& path) {
  std::error_code error;
  auto absolute = std::filesystem::absolute(path, error).lexically_normal().string();
  if (error || absolute.empty()) return path;
  if (absolute.size() > 1 && absolute.back() == '/') absolute.pop_back();
  return absolute;
}

std::vector<std::string> SplitByComma(const std::string& list) {
  std::vector<std::string> items;
  for (std::size_t start = 0; start <= list.size();) {
    const auto end = std::min(list.find(',', start), list.size());
    if (end > start) items.push_back(list.substr(start, end - start));
    start = end + 1;
  }
  return items;
}

// Moves `directory` to the front of sys.path.
bool PutFirst(PyObject* sys_path, const std::string& directory) {
  const PyRef item = FileSystemText(Absolute(directory));
  if (!item) return false;
  for (Py_ssize_t i = PySequence_Index(sys_path, item.get()); i >= 0;
       i = PySequence_Index(sys_path, item.get())) {
    if (PySequence_DelItem(sys_path, i) != 0) return false;
  }
  PyErr_Clear();  // "not in list"
  return PyList_Insert(sys_path, 0, item.get()) == 0;
}

// Calls a function of the standard library whose failure would change nothing that matters.
void CallGc(const char* function) {
  const PyRef gc = PyRef::Steal(PyImport_ImportModule("gc"));
  const PyRef result =
      gc ? PyRef::Steal(PyObject_CallMethod(gc.get(), function, nullptr)) : PyRef();
  if (!result) spdlog::warn("gc.{}() failed: {}", function, FetchPythonError().summary);
}

}  // namespace

Status InitializePython(const std::string& venv) {
  if (!venv.empty()) {
    if (Status status = CheckVenv(venv); !status) return status;
  }
  RegisterGunidModule();
  PyPreConfig preconfig;
  PyPreConfig_InitPythonConfig(&preconfig);
  if (Status status = ToStatus(Py_PreInitialize(&preconfig)); !status) return status;
  // The program name is where Python looks for pyvenv.cfg and its library, and becomes
  // sys.executable.
  const std::string program = venv.empty() ? GUNID_PYTHON_EXECUTABLE : venv + "/bin/python3";
  if (Status status = Config().Start(program); !status) return status;
  return ImportSignalModule();
}

Status SetSearchPath(const std::string& directory, const std::string& pythonpath) {
  PyObject* const sys_path = PySys_GetObject("path");
  if (sys_path == nullptr || !PyList_Check(sys_path)) return ConfigError("sys.path is not a list");
  std::vector<std::string> entries = SplitByComma(pythonpath);
  entries.push_back(directory);
  for (auto entry = entries.rbegin(); entry != entries.rend(); ++entry) {
    if (!PutFirst(sys_path, *entry)) return FetchError("cannot set sys.path", exit_code::kConfig);
  }
  return {};
}

Status SetEnvironment(const std::vector<std::string>& raw_env) {
  const PyRef os = PyRef::Steal(PyImport_ImportModule("os"));
  const PyRef environ = os ? PyRef::Steal(PyObject_GetAttrString(os.get(), "environ")) : PyRef();
  if (!environ) return FetchError("cannot read os.environ", exit_code::kConfig);
  for (const std::string& entry : raw_env) {
    const auto equals = entry.find('=');
    if (equals == std::string::npos || equals == 0) {
      return ConfigError("invalid value '" + entry + "' for raw_env: expected NAME=VALUE");
    }
    const PyRef name = FileSystemText(std::string_view(entry).substr(0, equals));
    const PyRef value = FileSystemText(std::string_view(entry).substr(equals + 1));
    if (!name || !value || PyObject_SetItem(environ.get(), name.get(), value.get()) != 0) {
      return FetchError("invalid value '" + entry + "' for raw_env", exit_code::kConfig);
    }
  }
  return {};
}

Status DumpStacksOnAbort(int fd) {
  const PyRef faulthandler = PyRef::Steal(PyImport_ImportModule("faulthandler"));
  const PyRef result =
      faulthandler ? PyRef::Steal(PyObject_CallMethod(faulthandler.get(), "enable", "i", fd))
                   : PyRef();
  if (!result) return FetchError("cannot enable faulthandler", exit_code::kConfig);
  return {};
}

Status DumpStacksOnSignal(int signal, int fd) {
  const PyRef faulthandler = PyRef::Steal(PyImport_ImportModule("faulthandler"));
  const PyRef function =
      faulthandler ? PyRef::Steal(PyObject_GetAttrString(faulthandler.get(), "register")) : PyRef();
  // register(signum, file, all_threads, chain)
  const PyRef result = function ? PyRef::Steal(PyObject_CallFunction(function.get(), "iiOO", signal,
                                                                     fd, Py_True, Py_False))
                                : PyRef();
  if (!result) return FetchError("cannot register faulthandler", exit_code::kConfig);
  return {};
}

void DisableGarbageCollection() {
  CallGc("disable");
}

void FreezeGarbageCollection() {
  CallGc("collect");
  CallGc("freeze");
}

void EnableGarbageCollection() {
  CallGc("enable");
}

void ReseedNumpy() {
  PyObject* const random = PyDict_GetItemString(PyImport_GetModuleDict(), "numpy.random");
  if (random == nullptr) return;
  const PyRef seeded = PyRef::Steal(PyObject_CallMethod(random, "seed", nullptr));
  if (!seeded) spdlog::warn("numpy.random could not be seeded: {}", FetchPythonError().summary);
}

void FinalizePython() {
  if (Py_FinalizeEx() != 0) spdlog::warn("Python could not flush its output when it ended");
}

}  // namespace gunid

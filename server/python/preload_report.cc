#include "python/preload_report.h"

#include <spdlog/spdlog.h>

#include "python/preload_report_source.h"
#include "python/py_text.h"
#include "python/python_error.h"

namespace gunid {
namespace {

constexpr char kModule[] = "gunid_preload_report";
constexpr char kFileName[] = "<gunid preload_report>";

void WarnOfFailure() {
  const PythonError error = FetchPythonError();
  spdlog::warn("No report of preloaded threads and sockets: {}\n{}", error.summary,
               error.traceback);
}

}  // namespace

PreloadReport::PreloadReport() {
  const PyRef code = PyRef::Steal(Py_CompileString(kPreloadReportSource, kFileName, Py_file_input));
  const PyRef module = code ? PyRef::Steal(PyImport_ExecCodeModule(kModule, code.get())) : PyRef();
  if (module) report_ = PyRef::Steal(PyObject_CallMethod(module.get(), "Report", nullptr));
  if (!report_) WarnOfFailure();
}

std::vector<std::string> PreloadReport::Finish() {
  std::vector<std::string> lines;
  if (!report_) return lines;
  const PyRef list = PyRef::Steal(PyObject_CallMethod(report_.get(), "lines", nullptr));
  report_ = {};
  if (!list || !PyList_Check(list.get())) {
    WarnOfFailure();
    return lines;
  }
  for (Py_ssize_t i = 0; i < PyList_GET_SIZE(list.get()); ++i) {
    PyObject* const line = PyList_GET_ITEM(list.get(), i);
    if (auto text = PyUnicode_Check(line) ? Utf8(line) : std::nullopt) {
      lines.push_back(std::move(*text));
    } else {
      PyErr_Clear();
    }
  }
  return lines;
}

}  // namespace gunid

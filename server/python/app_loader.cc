#include "python/app_loader.h"

#include <filesystem>
#include <optional>
#include <string_view>

#include "gunid/exit_codes.h"
#include "python/py_text.h"
#include "python/python_error.h"

namespace gunid {
namespace {

// MODULE[:NAME] or MODULE:NAME(arguments).
struct AppReference {
  std::string module;
  std::string expression = "application";
  std::string name;
  bool is_call = false;
  PyRef arguments;  // tuple
  PyRef keywords;   // dict
};

Error LoadError(std::string message) {
  return {std::move(message), exit_code::kAppLoadError};
}

PyRef Attribute(const PyRef& object, const char* name) {
  return object ? PyRef::Steal(PyObject_GetAttrString(object.get(), name)) : PyRef();
}

bool IsNode(const PyRef& ast, const PyRef& node, const char* type) {
  const PyRef node_type = Attribute(ast, type);
  return node && node_type && PyObject_IsInstance(node.get(), node_type.get()) == 1;
}

PyRef LiteralValue(const PyRef& ast, PyObject* node) {
  return PyRef::Steal(PyObject_CallMethod(ast.get(), "literal_eval", "O", node));
}

PyRef LiteralArguments(const PyRef& ast, const PyRef& call) {
  const PyRef nodes = Attribute(call, "args");
  if (!nodes) return {};
  const Py_ssize_t count = PyList_Size(nodes.get());
  PyRef values = PyRef::Steal(PyTuple_New(count < 0 ? 0 : count));
  for (Py_ssize_t i = 0; values && i < count; ++i) {
    PyRef value = LiteralValue(ast, PyList_GetItem(nodes.get(), i));
    if (!value) return {};
    PyTuple_SET_ITEM(values.get(), i, value.Release());
  }
  return values;
}

PyRef LiteralKeywords(const PyRef& ast, const PyRef& call) {
  const PyRef nodes = Attribute(call, "keywords");
  PyRef values = PyRef::Steal(PyDict_New());
  if (!nodes || !values) return {};
  for (Py_ssize_t i = 0; i < PyList_Size(nodes.get()); ++i) {
    const PyRef node = PyRef::Borrow(PyList_GetItem(nodes.get(), i));
    const PyRef key = Attribute(node, "arg");  // None for **mapping
    const PyRef value_node = Attribute(node, "value");
    if (!key || !PyUnicode_Check(key.get()) || !value_node) return {};
    const PyRef value = LiteralValue(ast, value_node.get());
    if (!value || PyDict_SetItem(values.get(), key.get(), value.get()) != 0) return {};
  }
  return values;
}

std::optional<std::string> Identifier(const PyRef& ast, const PyRef& node) {
  if (!IsNode(ast, node, "Name")) return std::nullopt;
  const PyRef id = Attribute(node, "id");
  return id ? Utf8(id.get()) : std::nullopt;
}

Status ParseCall(const PyRef& ast, const PyRef& call, AppReference& app) {
  const auto name = Identifier(ast, Attribute(call, "func"));
  if (!name) return LoadError("Function reference must be a simple name: '" + app.expression + "'");
  app.name = *name;
  app.is_call = true;
  app.arguments = LiteralArguments(ast, call);
  if (app.arguments) app.keywords = LiteralKeywords(ast, call);
  if (app.keywords) return {};
  return LoadError("Failed to parse arguments as literal values: '" + app.expression + "'");
}

Status ParseExpression(AppReference& app) {
  const PyRef ast = PyRef::Steal(PyImport_ImportModule("ast"));
  const PyRef tree = ast ? PyRef::Steal(PyObject_CallMethod(ast.get(), "parse", "sss",
                                                            app.expression.c_str(), "", "eval"))
                         : PyRef();
  const PyRef body = Attribute(tree, "body");
  if (body && IsNode(ast, body, "Call")) return ParseCall(ast, body, app);
  const auto name = body ? Identifier(ast, body) : std::nullopt;
  if (name) {
    app.name = *name;
    return {};
  }
  return LoadError("Failed to parse '" + app.expression +
                   "' as an attribute name or function call.");
}

Result<AppReference> ParseSpecification(const std::string& specification) {
  AppReference app;
  const auto colon = specification.find(':');
  app.module = specification.substr(0, colon);
  if (colon != std::string::npos) app.expression = specification.substr(colon + 1);
  if (app.module.empty()) {
    return LoadError("No application module specified in '" + specification + "'.");
  }
  Status status = ParseExpression(app);
  PyErr_Clear();  // of ast: the message says it all
  if (!status) return status.error();
  return app;
}

// Whether the exception says that the module itself, or a package that it is in, does not exist.
bool IsMissing(const std::string& module) {
  if (PyErr_ExceptionMatches(PyExc_ModuleNotFoundError) == 0) return false;
  PyObject* type = nullptr;
  PyObject* value = nullptr;
  PyObject* traceback = nullptr;
  PyErr_Fetch(&type, &value, &traceback);
  PyErr_NormalizeException(&type, &value, &traceback);
  const PyRef name = PyRef::Steal(PyObject_GetAttrString(value, "name"));
  const auto missing =
      name && PyUnicode_Check(name.get()) ? Utf8(name.get()) : std::optional<std::string>();
  PyErr_Restore(type, value, traceback);
  return missing && traceback == nullptr && (module + ".").starts_with(*missing + ".");
}

Error ImportError(const AppReference& app) {
  const bool missing = IsMissing(app.module);
  Error error = FetchError("cannot import '" + app.module + "'", exit_code::kBootError);
  if (!missing) return error;
  error.detail.clear();
  if (app.module.ends_with(".py") && std::filesystem::exists(app.module)) {
    error.message = "cannot import '" + app.module + "': did you mean '" +
                    app.module.substr(0, app.module.size() - 3) + ":" + app.expression + "'?";
  } else if (const auto type_end = error.message.find("ModuleNotFoundError: ");
             type_end != std::string::npos) {
    error.message.erase(type_end, std::string_view("ModuleNotFoundError: ").size());
  }
  return error;
}

Result<PyRef> FindAttribute(const AppReference& app, const PyRef& module) {
  PyRef found = Attribute(module, app.name.c_str());
  if (found) return found;
  if (PyErr_ExceptionMatches(PyExc_AttributeError) == 0) {  // from a module's __getattr__
    return FetchError("cannot load '" + app.name + "' from '" + app.module + "'",
                      exit_code::kAppLoadError);
  }
  PyErr_Clear();
  return LoadError("Failed to find attribute '" + app.name + "' in '" + app.module + "'.");
}

}  // namespace

Result<PyRef> LoadApp(const std::string& specification) {
  Result<AppReference> app = ParseSpecification(specification);
  if (!app) return app.error();
  const PyRef module = PyRef::Steal(PyImport_ImportModule(app->module.c_str()));
  if (!module) return ImportError(*app);
  Result<PyRef> application = FindAttribute(*app, module);
  if (application && app->is_call) {
    *application =
        PyRef::Steal(PyObject_Call(application->get(), app->arguments.get(), app->keywords.get()));
    if (!*application) {
      return FetchError("application factory '" + app->expression + "' failed",
                        exit_code::kAppLoadError);
    }
  }
  if (!application) return application;
  if (application->get() == Py_None) {
    return LoadError("Failed to find application object: '" + app->expression + "'");
  }
  if (PyCallable_Check(application->get()) == 0) {
    return LoadError("Application object must be callable: '" + app->expression + "' in '" +
                     app->module + "' is of type " + Py_TYPE(application->get())->tp_name);
  }
  return application;
}

}  // namespace gunid

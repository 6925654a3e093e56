// The one embedded interpreter of a zygote and, by fork, of its workers. Main thread only, GIL held
// after Initialize.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace gunid {

// Starts Python. `venv` is the root of a virtual environment, "" for none; one that was made by
// another Python is refused (pyvenv.cfg: home and version must fit the Python that gunid-worker was
// built with). Signal handlers stay gunid's.
Status InitializePython(const std::string& venv);

// sys.path, first to last: entries of `pythonpath` (comma-separated, as Gunicorn), `directory`,
// then what Python put there.
Status SetSearchPath(const std::string& directory, const std::string& pythonpath);

// os.environ["K"] = "V" for each "K=V" (Gunicorn's raw_env).
Status SetEnvironment(const std::vector<std::string>& raw_env);

// Python stacks of all threads go to `fd` when the process gets SIGABRT, SIGSEGV, SIGBUS, SIGFPE or
// SIGILL (faulthandler).
Status DumpStacksOnAbort(int fd);

// The same goes to `fd` when the process gets `signal`, and the process goes on: also while Python
// waits in C, and whoever holds the GIL.
Status DumpStacksOnSignal(int signal, int fd);

// gc.disable() before, gc.collect() and gc.freeze() after an import that forked workers will share;
// gc.enable() in the worker.
void DisableGarbageCollection();
void FreezeGarbageCollection();
void EnableGarbageCollection();

// In a worker that was forked with the application imported: numpy's global random state is the
// same in all of them,
// unlike that of Python's random module, which reseeds itself.
void ReseedNumpy();

// Runs atexit handlers, waits for non-daemon threads, and ends the interpreter. Output is flushed.
void FinalizePython();

}  // namespace gunid

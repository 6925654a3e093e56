// How gunid-worker comes to run inside the python program that is installed, instead of linking
// libpython: Debian's program is 15 to 25 % faster than its shared library, and what Gunicorn runs in.
// So gunid-worker is a shared object that can be executed as well:
//
//   exec gunid-worker --zygote
//     -> StartInPython: no libraries and no relocations yet. Puts this file in front of LD_PRELOAD, by
//        its descriptor, since its name may be another version's by now
//   exec python, argv as it was; the dynamic linker loads this file and finds its __libc_start_main
//     -> __libc_start_main: the C library's, but with the main() of gunid_worker.cc instead of Python's
//
// Python itself is started later, by python/interpreter.h. The environment is as it was by then.
#include <Python.h>
#include <dlfcn.h>
#include <stddef.h>
#include <sys/syscall.h>

#ifndef __x86_64__
#error "build with -DGUNID_HOSTED=OFF"
#endif

#define PRELOAD "LD_PRELOAD="
#define DESCRIPTOR "/proc/self/fd/"

// Where the kernel starts this file: the stack pointer is all there is.
__asm__(
    ".globl gunid_worker_start\n"
    ".hidden gunid_worker_start\n"
    "gunid_worker_start:\n"
    "  xorl %ebp, %ebp\n"
    "  movq %rsp, %rdi\n"
    "  andq $-16, %rsp\n"
    "  call StartInPython\n"
    "  hlt\n");

static long SystemCall(long number, const void* first, const void* second, const void* third) {
  long result;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(number), "D"(first), "S"(second), "d"(third)
                   : "rcx", "r11", "memory");
  return result;
}

static char* Append(char* end, const char* text) {
  while (*text != '\0') *end++ = *text++;
  return end;
}

static int StartsWith(const char* text, const char* prefix) {
  while (*prefix != '\0') {
    if (*text++ != *prefix++) return 0;
  }
  return 1;
}

static size_t Length(const char* text) {
  size_t length = 0;
  while (text[length] != '\0') ++length;
  return length;
}

static void Fail(const char* message) {
  SystemCall(SYS_write, (void*)2L, message, (void*)Length(message));
  SystemCall(SYS_exit_group, (void*)126L, NULL, NULL);
}

// `stack` as in the System V ABI: argc, argv, NULL, environment, NULL. Does not return.
__attribute__((used, visibility("hidden"))) void StartInPython(long* stack) {
  char** const argv = (char**)(stack + 1);
  char** const environment = argv + stack[0] + 1;
  size_t count = 0;
  const char* preloaded = NULL;
  for (; environment[count] != NULL; ++count) {
    if (StartsWith(environment[count], PRELOAD)) preloaded = environment[count] + sizeof PRELOAD - 1;
  }
  const long fd = SystemCall(SYS_open, "/proc/self/exe", (void*)0L /* O_RDONLY */, NULL);
  if (fd < 0) Fail("gunid-worker: cannot open /proc/self/exe\n");

  enum { kLongestNumber = 20 };
  char* const assignment =
      __builtin_alloca(sizeof PRELOAD + sizeof DESCRIPTOR + kLongestNumber +
                       (preloaded == NULL ? 0 : Length(preloaded)));
  char* end = Append(Append(assignment, PRELOAD), DESCRIPTOR);
  long divisor = 1;
  while (fd / divisor >= 10) divisor *= 10;
  for (; divisor > 0; divisor /= 10) *end++ = (char)('0' + fd / divisor % 10);
  if (preloaded != NULL) end = Append(Append(end, ":"), preloaded);
  *end = '\0';

  char** const changed = __builtin_alloca((count + 2) * sizeof *changed);
  size_t kept = 0;
  changed[kept++] = assignment;
  for (size_t i = 0; i < count; ++i) {
    if (!StartsWith(environment[i], PRELOAD)) changed[kept++] = environment[i];
  }
  changed[kept] = NULL;
  SystemCall(SYS_execve, GUNID_PYTHON_PROGRAM, argv, changed);
  Fail("gunid-worker: cannot run " GUNID_PYTHON_PROGRAM ", the Python that gunid was built for\n");
}

// Undoes what StartInPython did: the application's own processes are none of this.
static void RestoreEnvironment(void) {
  const char* const value = getenv("LD_PRELOAD");
  if (value == NULL || !StartsWith(value, DESCRIPTOR)) return;
  close(atoi(value + sizeof DESCRIPTOR - 1));
  const char* const others = strchr(value, ':');
  if (others == NULL) {
    unsetenv("LD_PRELOAD");
  } else {
    char* const copy = strdup(others + 1);
    setenv("LD_PRELOAD", copy, 1);
    free(copy);
  }
}

extern int main(int argc, char** argv);

static int CheckAndRun(int argc, char** argv, char** environment) {
  (void)environment;
  static const char kMinorVersion[] = Py_STRINGIFY(PY_MAJOR_VERSION) "." Py_STRINGIFY(PY_MINOR_VERSION) ".";
  RestoreEnvironment();
  if (!StartsWith(Py_GetVersion(), kMinorVersion)) {
    fprintf(stderr, "gunid-worker: " GUNID_PYTHON_PROGRAM " is Python %.10s, and gunid was built for %s\n",
            Py_GetVersion(), PY_VERSION);
    return 1;
  }
  return main(argc, argv);
}

typedef int Main(int argc, char** argv, char** environment);

// As the C library's (LSB, "__libc_start_main"), which runs it.
__attribute__((visibility("default"))) int __libc_start_main(Main* pythons, int argc, char** argv,
                                                            void (*init)(void), void (*fini)(void),
                                                            void (*rtld_fini)(void), void* stack_end) {
  (void)pythons;
  int (*const start)(Main*, int, char**, void (*)(void), void (*)(void), void (*)(void), void*) =
      (int (*)(Main*, int, char**, void (*)(void), void (*)(void), void (*)(void), void*))dlsym(
          RTLD_NEXT, "__libc_start_main");
  return start(CheckAndRun, argc, argv, init, fini, rtld_fini, stack_end);
}

// How gunid-worker comes to run inside the python program that is installed, instead of linking
// libpython: Debian's program is 15 to 25 % faster than its shared library, and what Gunicorn runs in.
// So gunid-worker is a shared object that can be executed as well:
//
//   exec gunid-worker --zygote
//     -> StartInPython: no libraries and no relocations yet. Puts this file in front of LD_PRELOAD, by
//        a descriptor, since its name may be another version's by now
//   exec python, argv as it was; the dynamic linker loads this file and finds its __libc_start_main
//     -> __libc_start_main: the C library's, but with the main() of gunid_worker.cc instead of Python's
//
// Python itself is started later, by python/interpreter.h. The environment is as it was by then.
#include <Python.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <stddef.h>
#include <sys/syscall.h>

#ifndef __x86_64__
#error "build with -DGUNID_HOSTED=OFF"
#endif

#define PRELOAD "LD_PRELOAD="
#define DESCRIPTOR "/proc/self/fd/"
// The dynamic linker knows this file by that name for ever: at a number that no application comes to.
enum { kHighDescriptor = 907, kLongestNumber = 20 };

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

// Up to three arguments; a fourth one is zero.
static long SystemCall(long number, const void* first, const void* second, const void* third) {
  long result;
  register long fourth __asm__("r10") = 0;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(number), "D"(first), "S"(second), "d"(third), "r"(fourth)
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

static char* AppendNumber(char* end, long number) {
  long divisor = 1;
  while (number / divisor >= 10) divisor *= 10;
  for (; divisor > 0; divisor /= 10) *end++ = (char)('0' + number / divisor % 10);
  return end;
}

// `error`: as of errno, or 0.
static void Fail(const char* message, long error) {
  char line[512 + sizeof GUNID_PYTHON_PROGRAM];  // all messages are shorter
  char* end = Append(Append(line, "gunid-worker: "), message);
  if (error != 0) end = Append(AppendNumber(Append(end, " (error "), error), ")");
  *end++ = '\n';
  SystemCall(SYS_write, (void*)2L, line, (void*)(end - line));
  SystemCall(SYS_exit_group, (void*)126L, NULL, NULL);
}

// A program that gets privileges from its file loads nothing that its environment names (ld.so(8),
// "Secure-execution mode"). Root gets none that it has not.
static int GetsPrivileges(const char* program) {
  if (SystemCall(SYS_geteuid, NULL, NULL, NULL) == 0) return 0;
  return SystemCall(SYS_getxattr, program, "security.capability", NULL) > 0;
}

// `stack` as in the System V ABI: argc, argv, NULL, environment, NULL. Does not return.
__attribute__((used, visibility("hidden"))) void StartInPython(long* stack) {
  char** const argv = (char**)(stack + 1);
  char** const environment = argv + stack[0] + 1;
  size_t count = 0;
  const char* preloaded = NULL;
  for (; environment[count] != NULL; ++count) {
    if (StartsWith(environment[count], PRELOAD))
      preloaded = environment[count] + sizeof PRELOAD - 1;
  }
  if (GetsPrivileges(GUNID_PYTHON_PROGRAM)) {
    Fail(GUNID_PYTHON_PROGRAM
         " has file capabilities, so that it cannot run gunid: take them away (setcap -r)"
         ", or build gunid with -DGUNID_HOSTED=OFF",
         0);
  }
  long fd = SystemCall(SYS_open, "/proc/self/exe", (void*)(long)(O_RDONLY | O_CLOEXEC), NULL);
  if (fd < 0)
    Fail("cannot open /proc/self/exe: gunid-worker must be readable, and /proc mounted", -fd);
  const long high =
      SystemCall(SYS_fcntl, (void*)fd, (void*)(long)F_DUPFD, (void*)(long)kHighDescriptor);
  // The limit on open files may be lower.
  fd = high >= 0 ? high : SystemCall(SYS_dup, (void*)fd, NULL, NULL);
  if (fd < 0) Fail("cannot open /proc/self/exe", -fd);

  char* const assignment = __builtin_alloca(sizeof PRELOAD + sizeof DESCRIPTOR + kLongestNumber +
                                            (preloaded == NULL ? 0 : Length(preloaded)));
  char* end = Append(Append(assignment, PRELOAD), DESCRIPTOR);
  end = AppendNumber(end, fd);
  if (preloaded != NULL) end = Append(Append(end, ":"), preloaded);
  *end = '\0';

  char** const changed = __builtin_alloca((count + 2) * sizeof *changed);
  size_t kept = 0;
  for (size_t i = 0; i < count; ++i) {
    if (!StartsWith(environment[i], PRELOAD)) changed[kept++] = environment[i];
  }
  changed[kept++] = assignment;  // the last, for RestoreEnvironment
  changed[kept] = NULL;
  const long result = SystemCall(SYS_execve, GUNID_PYTHON_PROGRAM, argv, changed);
  Fail("cannot run " GUNID_PYTHON_PROGRAM ", the Python that gunid was built for", -result);
}

// Undoes what StartInPython did: the application's own processes are none of this. In place, since
// there are programs that read /proc/PID/environ; that ends where two zeros are, hence the last variable.
static void RestoreEnvironment(void) {
  char* const value = getenv("LD_PRELOAD");
  if (value == NULL || !StartsWith(value, DESCRIPTOR)) return;
  close(atoi(value + sizeof DESCRIPTOR - 1));
  const size_t length = strlen(value);
  const char* const others = strchr(value, ':');
  if (others == NULL) {
    unsetenv("LD_PRELOAD");
    memset(value - (sizeof PRELOAD - 1), 0, sizeof PRELOAD - 1 + length);
  } else {
    const size_t kept = strlen(others + 1);
    memmove(value, others + 1, kept);
    memset(value + kept, 0, length - kept);
  }
}

extern int main(int argc, char** argv);

static int CheckAndRun(int argc, char** argv, char** environment) {
  (void)environment;
  static const char kMinorVersion[] =
      Py_STRINGIFY(PY_MAJOR_VERSION) "." Py_STRINGIFY(PY_MINOR_VERSION) ".";
  RestoreEnvironment();
  if (!StartsWith(Py_GetVersion(), kMinorVersion)) {
    fprintf(stderr,
            "gunid-worker: " GUNID_PYTHON_PROGRAM " is Python %.10s, and gunid was built for %s\n",
            Py_GetVersion(), PY_VERSION);
    return 1;
  }
  return main(argc, argv);
}

typedef int Main(int argc, char** argv, char** environment);

// As the C library's (LSB, "__libc_start_main"), which runs it.
__attribute__((visibility("default"))) int __libc_start_main(Main* pythons, int argc, char** argv,
                                                             void (*init)(void), void (*fini)(void),
                                                             void (*rtld_fini)(void),
                                                             void* stack_end) {
  (void)pythons;
  int (*const start)(Main*, int, char**, void (*)(void), void (*)(void), void (*)(void), void*) =
      (int (*)(Main*, int, char**, void (*)(void), void (*)(void), void (*)(void), void*))dlsym(
          RTLD_NEXT, "__libc_start_main");
  return start(CheckAndRun, argc, argv, init, fini, rtld_fini, stack_end);
}

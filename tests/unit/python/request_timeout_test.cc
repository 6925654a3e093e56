#include "python/request_timeout.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <fstream>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "gunid/version.h"
#include "python/gil.h"
#include "python/python_fixture.h"

namespace gunid {
namespace {

constexpr char kRaised[] = "EXCEPTION: gunid.RequestTimeout";
constexpr unsigned kPatience = 60;  // seconds
constexpr std::uint64_t kCalls = 2000;

// What applications do, each as a function. An endless one ends by the exception only.
constexpr char kApplication[] = R"(
import os, queue, select, signal, socket, subprocess, threading, time
import gunid

def loop():
    while True: pass

def sleep():
    time.sleep(3600)

def receive():
    near, far = socket.socketpair()
    near.recv(1)

def receive_with_timeout():
    near, far = socket.socketpair()
    near.settimeout(3600)
    near.recv(1)

def deadlock():
    lock = threading.Lock()
    with lock:
        with lock: pass

def wait_for_event():
    threading.Event().wait()

def wait_for_queue():
    queue.Queue().get(timeout=3600)

def join_thread():
    leave = threading.Event()
    thread = threading.Thread(target=leave.wait)
    thread.start()
    try:
        thread.join()
    finally:
        leave.set()

def wait_for_child():
    with subprocess.Popen(['sleep', '3600']) as child:
        try:
            child.wait()
        finally:
            child.kill()

def read_pipe():
    near, far = os.pipe()
    try:
        os.read(near, 1)
    finally:
        os.close(near)
        os.close(far)

def poll():
    select.select([], [], [])

def catch_exceptions():
    try:
        loop()
    except Exception:
        return 'caught'

def work():
    total = 0
    for i in range(50): total += i
    return total

def work_longer():  # than it takes another thread to get the GIL
    for i in range(10000): pass

def call(function, entered):
    os.eventfd_write(entered, 1)
    return function()
)";

class RequestTimeoutTest : public ::testing::Test {
 protected:
  RequestTimeoutTest() { snippet_.Exec("entered = " + std::to_string(entered_.get())); }
  // What is not interrupted would last for ever.
  void SetUp() override { alarm(kPatience); }
  void TearDown() override { alarm(0); }

  void AwaitEntered() const {
    eventfd_t count = 0;
    ASSERT_EQ(0, eventfd_read(entered_.get(), &count));
  }

  // Calls a function of kApplication, after which `entered_` counts.
  std::string Call(const std::string& function) {
    return snippet_.Eval("call(" + function + ", entered)");
  }

  const UniqueFd entered_{eventfd(0, EFD_CLOEXEC | EFD_SEMAPHORE)};
  Snippet snippet_{kApplication};
};

// The state of a thread of this process: 'S' where it waits in the kernel.
char ThreadState(pid_t thread) {
  std::ifstream in("/proc/self/task/" + std::to_string(thread) + "/stat");
  std::string stat;
  std::getline(in, stat);
  const auto name_end = stat.rfind(") ");
  return name_end == std::string::npos ? '?' : stat[name_end + 2];
}

TEST_F(RequestTimeoutTest, IsThereForEveryApplication) {
  EXPECT_EQ("<class 'gunid.RequestTimeout'>", snippet_.Eval("gunid.RequestTimeout"));
  EXPECT_EQ("(<class 'BaseException'>,)", snippet_.Eval("gunid.RequestTimeout.__bases__"));
  EXPECT_EQ(GUNID_VERSION, snippet_.Eval("gunid.__version__"));
  EXPECT_EQ("True", snippet_.Eval("'deadline' in gunid.RequestTimeout.__doc__"));
  snippet_.Set("type", PyRef::Borrow(RequestTimeoutType()));
  EXPECT_EQ("True", snippet_.Eval("type is gunid.RequestTimeout"));
}

class MainThreadInterruptTest : public RequestTimeoutTest {
 protected:
  MainThreadInterruptTest() { EXPECT_TRUE(interrupt_.Install().ok()); }

  // Calls the function as request `serial`, which another thread interrupts as soon as it waits (or
  // runs, where it never waits).
  std::string CallInterrupted(std::uint64_t serial, const std::string& function, bool waits) {
    std::thread other([this, serial, waits, main = gettid()] {
      AwaitEntered();
      while (waits && ThreadState(main) != 'S') sched_yield();
      interrupt_.Interrupt(serial);
    });
    interrupt_.Begin(serial);
    const std::string result = Call(function);
    interrupt_.End();
    other.join();
    return result;
  }

  static void Block(int how) {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGRTMIN + kInterruptSignal);
    pthread_sigmask(how, &signals, nullptr);
  }

  MainThreadInterrupt interrupt_;
};

TEST_F(MainThreadInterruptTest, EndsWhatTheApplicationDoes) {
  EXPECT_EQ(kRaised, CallInterrupted(1, "loop", false));
  EXPECT_EQ(kRaised, CallInterrupted(2, "catch_exceptions", false));
  std::uint64_t serial = 3;
  for (const char* function :
       {"sleep", "receive", "receive_with_timeout", "deadlock", "wait_for_event", "wait_for_queue",
        "join_thread", "wait_for_child", "read_pipe", "poll"}) {
    EXPECT_EQ(kRaised, CallInterrupted(serial++, function, true)) << function;
  }
}

TEST_F(MainThreadInterruptTest, IsForTheRunningRequest) {
  interrupt_.Begin(2);
  for (const std::uint64_t other : {0, 1, 3}) interrupt_.Interrupt(other);
  EXPECT_EQ("1225", snippet_.Eval("work()"));
  interrupt_.End();
  interrupt_.Interrupt(2);
  interrupt_.Interrupt(0);
  EXPECT_EQ("1225", snippet_.Eval("work()"));
}

TEST_F(MainThreadInterruptTest, IsLostWhenItComesTooLate) {
  Block(SIG_BLOCK);
  interrupt_.Begin(1);
  interrupt_.Interrupt(1);
  interrupt_.End();
  Block(SIG_UNBLOCK);  // is delivered now
  EXPECT_EQ("1225", snippet_.Eval("work()"));

  Block(SIG_BLOCK);
  interrupt_.Begin(2);
  interrupt_.Interrupt(2);
  interrupt_.End();
  interrupt_.Begin(3);
  Block(SIG_UNBLOCK);
  EXPECT_EQ("1225", snippet_.Eval("work()"));
  interrupt_.Interrupt(3);
  EXPECT_EQ(kRaised, snippet_.Eval("work()"));
  interrupt_.End();
}

TEST_F(MainThreadInterruptTest, IsRaisedOnce) {
  interrupt_.Begin(1);
  interrupt_.Interrupt(1);
  EXPECT_EQ(kRaised, snippet_.Eval("work()"));
  EXPECT_EQ("1225", snippet_.Eval("work()"));
  snippet_.Exec("signal.raise_signal(signal.SIGRTMIN + 3)");  // nobody's
  EXPECT_EQ("1225", snippet_.Eval("work()"));
  interrupt_.End();
}

TEST_F(MainThreadInterruptTest, TakesBackWhatTheApplicationInstalled) {
  snippet_.Exec("signal.signal(signal.SIGRTMIN + 3, signal.SIG_IGN)");
  ASSERT_TRUE(interrupt_.Install().ok());
  EXPECT_EQ(kRaised, CallInterrupted(1, "loop", false));
}

TEST_F(MainThreadInterruptTest, LeavesForkedChildrenAlone) {
  Block(SIG_BLOCK);
  interrupt_.Begin(1);
  interrupt_.Interrupt(1);  // under way while the application forks
  snippet_.Exec(R"(
child = os.fork()
if child == 0:
    code = 1
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGRTMIN + 3])
        work()
        signal.raise_signal(signal.SIGRTMIN + 3)
        work()
        code = 0
    finally:
        os._exit(code)
exit_code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
)");
  EXPECT_EQ("0", snippet_.Eval("exit_code"));
  Block(SIG_UNBLOCK);
  EXPECT_EQ(kRaised, snippet_.Eval("work()"));
  interrupt_.End();
}

TEST_F(MainThreadInterruptTest, IgnoresTheSignalAfterItsEnd) {
  { const MainThreadInterrupt gone; }
  EXPECT_EQ(kRaised, CallInterrupted(1, "loop", false));  // another's end changes nothing
  auto own = std::make_unique<MainThreadInterrupt>();
  ASSERT_TRUE(own->Install().ok());
  own->Begin(1);
  own.reset();
  snippet_.Exec("signal.raise_signal(signal.SIGRTMIN + 3)");
  EXPECT_EQ("1225", snippet_.Eval("work()"));
}

TEST_F(MainThreadInterruptTest, InstallFailsAwayFromTheMainThread) {
  std::string message;
  {
    const GilReleased released;
    std::thread([&message] {
      const GilHeld gil;
      MainThreadInterrupt other;
      message = other.Install().error().message;
    }).join();
  }
  EXPECT_THAT(message, ::testing::HasSubstr("main thread"));
}

// Interrupts each call with an even serial once, at some moment of it or after it.
class Hammer {
 public:
  explicit Hammer(std::function<void(std::uint64_t)> interrupt)
      : interrupt_(std::move(interrupt)), thread_([this] { Run(); }) {}
  void Running(std::uint64_t serial) { running_ = serial; }
  void Stop() {
    stop_ = true;
    thread_.join();
  }

 private:
  void Run() {
    std::minstd_rand random;  // the same in each run
    std::uint64_t last = 0;
    while (!stop_) {
      const std::uint64_t serial = running_;
      if (serial == last || serial % 2 != 0) continue;
      last = serial;
      for (auto spins = random() % 20'000; spins > 0 && !stop_; --spins) running_.load();
      interrupt_(serial);
    }
  }

  const std::function<void(std::uint64_t)> interrupt_;
  std::atomic<std::uint64_t> running_{0};
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

struct Hits {
  std::uint64_t wanted = 0;  // in a call that was to be interrupted
  std::uint64_t leaked = 0;  // in another call, or outside
};

bool IsHit(PyObject* function) {
  const PyRef result = PyRef::Steal(PyObject_CallNoArgs(function));
  if (result) return false;
  EXPECT_TRUE(PyErr_ExceptionMatches(RequestTimeoutType()));
  PyErr_Clear();
  return true;
}

// `begin` and `end` stand round each call of the application, of which there are kCalls.
Hits CountHits(const PyRef& function, Hammer& hammer,
               const std::function<void(std::uint64_t)>& begin, const std::function<void()>& end) {
  Hits hits;
  for (std::uint64_t serial = 1; serial <= kCalls; ++serial) {
    hammer.Running(serial);
    begin(serial);
    const bool hit = IsHit(function.get());
    end();
    if (hit) ++(serial % 2 == 0 ? hits.wanted : hits.leaked);
    if (IsHit(function.get())) ++hits.leaked;
  }
  return hits;
}

TEST_F(MainThreadInterruptTest, NeverLeaksToAnotherRequest) {
  Hammer hammer([this](std::uint64_t serial) { interrupt_.Interrupt(serial); });
  const Hits hits = CountHits(
      snippet_.Get("work_longer"), hammer,
      [this](std::uint64_t serial) { interrupt_.Begin(serial); }, [this] { interrupt_.End(); });
  hammer.Stop();
  EXPECT_GT(hits.wanted, 0U);
  EXPECT_EQ(0U, hits.leaked);
}

class ThreadInterruptsTest : public RequestTimeoutTest {
 protected:
  // As a thread of the worker does: calls the function as request `serial`.
  std::string CallAs(int thread, std::uint64_t serial, const std::string& function) {
    const GilHeld gil;
    interrupts_.Begin(thread, serial);
    const std::string result = Call(function);
    interrupts_.End(thread);
    const std::string after = snippet_.Eval("work()");
    return after == "1225" ? result : "leaked: " + after;
  }

  ThreadInterrupts interrupts_{3};
};

TEST_F(ThreadInterruptsTest, EndALoopOnAnotherThread) {
  for (const char* function : {"loop", "catch_exceptions"}) {
    std::string result;
    const GilReleased released;
    std::thread thread([&] { result = CallAs(2, 5, function); });
    AwaitEntered();
    {
      const GilHeld gil;
      interrupts_.Interrupt(5);
    }
    thread.join();
    EXPECT_EQ(kRaised, result);
  }
}

TEST_F(ThreadInterruptsTest, LeaveOtherRequestsAlone) {
  snippet_.Exec("go = threading.Event()\ndef wait(): return go.wait()\n");
  std::vector<std::string> results(3);
  std::vector<std::thread> threads;
  const GilReleased released;
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&, i] {
      results[static_cast<std::size_t>(i)] =
          CallAs(i, static_cast<std::uint64_t>(i) + 10, i == 1 ? "loop" : "wait");
    });
  }
  for (int i = 0; i < 3; ++i) AwaitEntered();
  {
    const GilHeld gil;
    for (const std::uint64_t serial : {0, 1, 2, 11, 13}) interrupts_.Interrupt(serial);
    snippet_.Exec("go.set()");
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(results, ::testing::ElementsAre("True", kRaised, "True"));
}

TEST_F(ThreadInterruptsTest, TakeBackWhatWasNotRaised) {
  interrupts_.Begin(0, 1);
  interrupts_.Interrupt(1);
  interrupts_.End(0);
  EXPECT_EQ("1225", snippet_.Eval("work()"));
  interrupts_.Interrupt(1);
  EXPECT_EQ("1225", snippet_.Eval("work()"));
  interrupts_.Begin(0, 2);
  interrupts_.Interrupt(2);
  EXPECT_EQ(kRaised, snippet_.Eval("work()"));
  EXPECT_EQ("1225", snippet_.Eval("work()"));
  interrupts_.End(0);
}

TEST_F(ThreadInterruptsTest, NeverLeakToAnotherRequest) {
  snippet_.Exec("import sys; interval = sys.getswitchinterval(); sys.setswitchinterval(1e-6)");
  Hits hits;
  {
    const GilReleased released;
    Hammer hammer([this](std::uint64_t serial) {
      const GilHeld gil;
      interrupts_.Interrupt(serial);
    });
    std::thread thread([&] {
      const GilHeld gil;
      hits = CountHits(
          snippet_.Get("work_longer"), hammer,
          [this](std::uint64_t serial) { interrupts_.Begin(0, serial); },
          [this] {
            { const GilReleased chance; }
            interrupts_.End(0);
          });
    });
    thread.join();
    hammer.Stop();
  }
  snippet_.Exec("sys.setswitchinterval(interval)");
  EXPECT_GT(hits.wanted, 0U);
  EXPECT_EQ(0U, hits.leaked);
}

}  // namespace
}  // namespace gunid

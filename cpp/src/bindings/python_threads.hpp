#pragma once
#include <cxxabi.h>
#include <pybind11/pybind11.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <utility>

#include "vla_rt/core/errors.hpp"

// Python in threads that Python does not wait for: the inference worker, and a run in a daemon thread.
//
// At its end CPython ends every foreign thread that asks for the GIL by pthread_exit (until 3.13; later
// versions park it), which unwinds through C++ frames that drop Python references without the GIL, or through
// noexcept ones: both end the process. Here such a thread is parked instead where it left Python; the process
// ends without it.

namespace vla_rt::bindings {

inline std::atomic<bool> python_is_ending{false};
inline thread_local bool thread_is_in_python = false;

[[noreturn]] inline void park() {
  for (;;) ::pause();
}

/// Runs `call`, which enters Python and throws nothing.
template <class Call>
auto park_at_exit(Call&& call) {
  try {
    return call();
  } catch (const abi::__forced_unwind&) {
    park();
  }
}

/// Work that the interpreter's exit asks to stop and waits for: an arm does not stop by its process ending.
class RunUntilExit {
 public:
  /// `stop` asks for the end; any thread.
  explicit RunUntilExit(std::function<void()> stop) {
    const std::scoped_lock lock(runs().mutex);
    here_ = runs().stops.insert(runs().stops.end(), std::move(stop));
  }
  ~RunUntilExit() {
    const std::scoped_lock lock(runs().mutex);
    runs().stops.erase(here_);
    runs().ended.notify_all();
  }
  RunUntilExit(const RunUntilExit&) = delete;
  RunUntilExit& operator=(const RunUntilExit&) = delete;

  /// Without the GIL.
  static void stop_all(std::chrono::seconds patience) {
    std::unique_lock lock(runs().mutex);
    for (const auto& stop : runs().stops) stop();
    runs().ended.wait_for(lock, patience, [] { return runs().stops.empty(); });
  }

 private:
  struct Runs {
    std::mutex mutex;
    std::condition_variable ended;
    std::list<std::function<void()>> stops;
  };
  static Runs& runs() {
    static auto* all = new Runs();  // never destroyed: a parked thread may still be in it
    return *all;
  }
  std::list<std::function<void()>>::iterator here_;
};

/// From the interpreter's exit on, no thread enters Python through this file. Once, by the module.
inline void watch_for_exit() {
  const auto ending = pybind11::cpp_function([] {
    {
      const pybind11::gil_scoped_release release;
      RunUntilExit::stop_all(std::chrono::seconds(10));
    }
    python_is_ending.store(true);
    // Libraries below a policy may let the GIL go in a noexcept destructor: the unwinding then ends here.
    static std::terminate_handler previous = std::get_terminate();
    std::set_terminate([] {
      if (thread_is_in_python) park();
      previous();
    });
  });
  pybind11::module_::import("atexit").attr("register")(ending);
}

/// Holds the GIL in a foreign thread. Throws ModelError when Python is ending.
class WorkerGil {
 public:
  WorkerGil() {
    if (python_is_ending.load()) throw ModelError("Python is shutting down");
    thread_is_in_python = true;
    state_ = park_at_exit([] { return PyGILState_Ensure(); });
  }
  ~WorkerGil() {
    PyGILState_Release(state_);
    thread_is_in_python = false;
  }
  WorkerGil(const WorkerGil&) = delete;
  WorkerGil& operator=(const WorkerGil&) = delete;

 private:
  PyGILState_STATE state_;
};

/// Lets the GIL go in a thread of Python's.
class WithoutGil {
 public:
  WithoutGil() : state_(PyEval_SaveThread()) {}
  ~WithoutGil() {
    park_at_exit([this] { PyEval_RestoreThread(state_); });
  }
  WithoutGil(const WithoutGil&) = delete;
  WithoutGil& operator=(const WithoutGil&) = delete;

 private:
  PyThreadState* state_;
};

/// callable(argument) or callable(argument, second), under a WorkerGil; throws pybind11::error_already_set.
inline pybind11::object call_in_worker(pybind11::handle callable, pybind11::handle argument,
                                       pybind11::handle second = {}) {
  // No C++ object with a destructor may live between here and Python: see the top of this file.
  PyObject* result = park_at_exit(
      [&] { return PyObject_CallFunctionObjArgs(callable.ptr(), argument.ptr(), second.ptr(), nullptr); });
  if (!result) throw pybind11::error_already_set();
  return pybind11::reinterpret_steal<pybind11::object>(result);
}

/// Gives a reference back from any thread; leaks it when Python is ending.
inline void drop_reference(pybind11::object&& reference) noexcept {
  if (python_is_ending.load()) {
    if (!(Py_IsInitialized() && PyGILState_Check())) {
      static_cast<void>(reference.release());
      return;
    }
    reference = pybind11::object();
    return;
  }
  if (PyGILState_Check()) {
    reference = pybind11::object();
    return;
  }
  const WorkerGil gil;
  reference = pybind11::object();
}

/// A C++ object that lives in a Python one, shared: the Python object lives as long, and any thread may end
/// it.
template <class T>
std::shared_ptr<T> share(const pybind11::object& owner) {
  T* object = owner.cast<T*>();
  const std::shared_ptr<pybind11::object> reference(new pybind11::object(owner), [](pybind11::object* held) {
    drop_reference(std::move(*held));
    delete held;
  });
  return std::shared_ptr<T>(reference, object);
}

}  // namespace vla_rt::bindings

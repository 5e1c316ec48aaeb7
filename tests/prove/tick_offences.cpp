// tick_offences.cpp OFFENCE: a control loop at 1 kHz whose robot does, in the middle of the run and on the
// control thread, what no tick may do. RealtimeSanitizer must end the program for every offence, and for
// "none" not.
#include <fcntl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <vector>

#include "execution/sine_policy.hpp"
#include "vla_rt/execution/control_loop.hpp"
#include "vla_rt/execution/simulated_robot.hpp"

using namespace vla_rt;
using namespace vla_rt::testing;

namespace {

std::mutex mutex;
std::vector<double> numbers;

void offend(const char* offence) {
  const auto asked = [offence](const char* name) { return std::strcmp(offence, name) == 0; };
  if (asked("allocation")) numbers.resize(numbers.size() + 1000);
  if (asked("release")) std::vector<double>().swap(numbers);
  if (asked("lock")) const std::scoped_lock lock(mutex);
  if (asked("system_call")) syscall(SYS_getppid);
  if (asked("file")) close(open("/dev/null", O_RDONLY | O_CLOEXEC));
  if (asked("print")) std::puts("tick");
  if (asked("sleep")) {
    const timespec moment{.tv_sec = 0, .tv_nsec = 1000};
    nanosleep(&moment, nullptr);
  }
}

class OffendingRobot final : public SimulatedRobot {
 public:
  explicit OffendingRobot(const char* offence)
      : SimulatedRobot(seven_joint_limits(), std::array<double, kJoints>{}), offence_(offence) {}
  ReadResult read(RobotState& state) noexcept override {
    if (++reads_ == 200) offend(offence_);
    return SimulatedRobot::read(state);
  }

 private:
  const char* offence_;
  int reads_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  numbers.resize(1000);
  ControlConfig config = loop_config();
  config.record = "/dev/null";  // with the flight recorder on
  ControlLoop loop(std::make_shared<OffendingRobot>(argv[1]), std::make_shared<SinePolicy>(), config);
  const RunReport report = loop.run(0.4);
  std::printf("%llu ticks, %llu chunks\n", static_cast<unsigned long long>(report.ticks),
              static_cast<unsigned long long>(report.inference.chunks));
}

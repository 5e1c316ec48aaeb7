/* A robot driver in C, in a process of its own, for vla_rt's SharedMemoryRobot.
 *
 *   cc -std=c11 -O2 -I"$(python -m vla_rt --include-dir)" shared_memory_driver.c -o driver -lm -lrt
 *   ./driver arm 10        # seven simulated joints for 10 s under the name "arm"
 *
 * The simulated servo stands in for the robot: replace `measure` and `command`. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <vla_rt/execution/shared_memory.h>

enum { JOINTS = 7 };
static const int64_t PERIOD_NS = 1000000, LATE_NS = 1500000, TIMEOUT_NS = 100000000;

static double joint_position[JOINTS], joint_velocity[JOINTS];

static void measure(double* position, double* velocity) {
  for (int j = 0; j < JOINTS; ++j) {
    position[j] = joint_position[j];
    velocity[j] = joint_velocity[j];
  }
}

static void command(const double* position) {
  for (int j = 0; j < JOINTS; ++j) { /* a servo of 5 ms */
    joint_velocity[j] = 0.2 * (position[j] - joint_position[j]) / 1e-3;
    joint_position[j] += 0.2 * (position[j] - joint_position[j]);
  }
}

static int64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static volatile sig_atomic_t ended = 0;
static void end(int signal) {
  (void)signal;
  ended = 1;
}

static int lock_driver_byte(int file) { /* one driver; the kernel takes it back when we die */
  struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 1};
  return fcntl(file, F_OFD_SETLK, &lock);
}

static struct vla_rt_shm* make_segment(const char* name) {
  int file = shm_open(name, O_RDWR, 0);
  if (file >= 0) { /* left over by a dead driver, or in use */
    if (lock_driver_byte(file) != 0) {
      fprintf(stderr, "%s: a driver is using it\n", name);
      return NULL;
    }
    shm_unlink(name);
    close(file);
  }
  file = shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
  if (file < 0 || lock_driver_byte(file) != 0 || ftruncate(file, sizeof(struct vla_rt_shm)) != 0) {
    perror(name);
    return NULL;
  }
  struct vla_rt_shm* shm =
      mmap(NULL, sizeof *shm, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, file, 0);
  if (shm == MAP_FAILED) {
    perror(name);
    return NULL;
  }
  shm->version = VLA_RT_SHM_VERSION;
  shm->size_bytes = sizeof *shm;
  shm->num_joints = JOINTS;
  for (int j = 0; j < JOINTS; ++j) { /* from the robot's data sheet */
    vla_rt_shm_store_double(&shm->min_position[j], -2.8);
    vla_rt_shm_store_double(&shm->max_position[j], 2.8);
    vla_rt_shm_store_double(&shm->max_velocity[j], 2.0);
    vla_rt_shm_store_double(&shm->max_acceleration[j], 10.0);
    vla_rt_shm_store_double(&shm->max_jerk[j], 1000.0);
  }
  vla_rt_shm_store(&shm->driver_phase, VLA_RT_SHM_RUNNING);
  __atomic_store_n(&shm->magic, VLA_RT_SHM_MAGIC, __ATOMIC_RELEASE); /* last: it is complete */
  return shm;
}

static void post_state(struct vla_rt_shm* shm, uint64_t sequence) {
  double position[JOINTS], velocity[JOINTS];
  measure(position, velocity);
  vla_rt_shm_beat(&shm->driver_heartbeat);
  vla_rt_shm_begin_write(&shm->state.lock);
  vla_rt_shm_store(&shm->state.time_ns, (uint64_t)now_ns());
  vla_rt_shm_store(&shm->state.sequence, sequence);
  for (int j = 0; j < JOINTS; ++j) {
    vla_rt_shm_store_double(&shm->state.position[j], position[j]);
    vla_rt_shm_store_double(&shm->state.velocity[j], velocity[j]);
  }
  vla_rt_shm_end_write(&shm->state.lock);
}

int main(int argc, char** argv) {
  if (argc != 3) {
    fprintf(stderr, "usage: %s NAME SECONDS\n", argv[0]);
    return 2;
  }
  char name[210];
  snprintf(name, sizeof name, "/%.200s", argv[1]);
  struct vla_rt_shm* shm = make_segment(name);
  if (shm == NULL) return 1;
  signal(SIGINT, end);
  signal(SIGTERM, end);

  static const char* const words[] = {"hold", "follow", "late", "stop"};
  struct vla_rt_shm_follower follower = {0};
  double position[JOINTS], velocity[JOINTS];
  int said = -1;
  const int64_t begin = now_ns(), until = begin + (int64_t)(atof(argv[2]) * 1e9);
  int64_t due = begin;
  for (uint64_t cycle = 1; !ended && due < until; ++cycle) {
    post_state(shm, cycle);
    const enum vla_rt_shm_advice advice =
        vla_rt_shm_follow(&follower, shm, JOINTS, now_ns(), LATE_NS, TIMEOUT_NS, position, velocity);
    if (advice != VLA_RT_SHM_HOLD) command(position);
    if ((int)advice != said && advice != VLA_RT_SHM_LATE) { /* a real-time driver would not print */
      printf("%s\n", words[advice]);
      fflush(stdout);
      said = (int)advice;
    }
    due += PERIOD_NS;
    const struct timespec next = {.tv_sec = due / 1000000000, .tv_nsec = due % 1000000000};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
  }
  printf("at rest: %s\n", joint_velocity[0] < 1e-3 && joint_velocity[0] > -1e-3 ? "yes" : "no");
  vla_rt_shm_store(&shm->driver_phase, VLA_RT_SHM_CLOSED);
  shm_unlink(name);
  return 0;
}

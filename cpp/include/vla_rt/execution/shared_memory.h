/* The robot boundary as POSIX shared memory: any process, in any language, can be the robot.
 *
 * C11 and C++20. A driver process makes the segment, posts what it measures and follows the commands it
 * finds; the controller (vla_rt::SharedMemoryRobot) opens it by name. examples/shared_memory_driver is a
 * whole driver in C.
 *
 * Layout. 64-bit words in the machine's own byte order, doubles as their bits, at the offsets of struct
 * vla_rt_shm. The first VLA_RT_SHM_HEADER_WORDS words are written once, by the driver, `magic` last; all
 * later words belong to one side each, which alone writes them.
 *
 * Hand-over. `state` and `command` are sequence locks: the writer makes `lock` odd, writes the words, makes
 * it even; the reader takes the words only when `lock` was even before and unchanged after. Words are relaxed
 * atomics; what orders them are the accesses of `lock` alone: acquire when it becomes odd, release when it
 * becomes even, and for the reader acquire before and a read-modify-write with release (adding 0) after, as
 * H.-J. Boehm shows to be sufficient ("Can seqlocks get along with programming language memory models?", MSPC
 * 2012). A reader tries a few times and then goes on with what it has, so that a writer that died in the
 * middle holds nobody up.
 *
 * Life. Each side counts up its heartbeat in every cycle. A controller increments `controller_session` to an
 * odd number when a run begins and to the even number after it when the run ends; a driver keeps
 * `driver_phase`. Whoever sees the other's heartbeat stand still, or nothing but torn, stale or impossible
 * words, brings the robot to rest: the controller by the certified stop of its tick, the driver by the stop
 * that every command carries (vla_rt_shm_follow).
 *
 * Trust. Both sides check every number they take, but a segment is as trustworthy as the user who owns it:
 * one who cuts it short ends whoever reads it by SIGBUS. It is made with mode 0600.
 */
#ifndef VLA_RT_EXECUTION_SHARED_MEMORY_H
#define VLA_RT_EXECUTION_SHARED_MEMORY_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

#define VLA_RT_SHM_MAGIC UINT64_C(0x304d48535452564c) /* "LVRTSHM0", little-endian */
#define VLA_RT_SHM_VERSION 1
#define VLA_RT_SHM_JOINTS 64
#define VLA_RT_SHM_TRIES 8 /* of a reader, before it goes on with what it has */

enum vla_rt_shm_phase {
  VLA_RT_SHM_STARTING = 0,
  VLA_RT_SHM_RUNNING = 1,
  VLA_RT_SHM_CLOSED = 2,
  VLA_RT_SHM_FAILED = 3
};

/* What the driver measured. Times are nanoseconds of CLOCK_MONOTONIC. */
struct vla_rt_shm_state {
  uint64_t lock;
  uint64_t time_ns;  /* when it was measured; never goes back */
  uint64_t sequence; /* counts the driver's cycles from 1; never goes back */
  uint64_t reserved[5];
  uint64_t position[VLA_RT_SHM_JOINTS]; /* doubles, [rad] or [m] */
  uint64_t velocity[VLA_RT_SHM_JOINTS]; /* doubles, [rad/s] or [m/s] */
};

/* What the robot shall do, and how it comes to rest from there if no other command follows: jerk `stop_jerk`
 * for stop_duration[0] seconds, none for stop_duration[1], -stop_jerk for stop_duration[2], rest. */
struct vla_rt_shm_command {
  uint64_t lock;
  uint64_t time_ns;  /* the tick it was made for */
  uint64_t sequence; /* counts the ticks of a session from 1 */
  uint64_t session;  /* controller_session of the run it belongs to */
  uint64_t status;   /* vla_rt::Status: 0 ok .. 5 fault */
  uint64_t reserved[3];
  uint64_t position[VLA_RT_SHM_JOINTS];         /* doubles */
  uint64_t velocity[VLA_RT_SHM_JOINTS];         /* doubles */
  uint64_t acceleration[VLA_RT_SHM_JOINTS];     /* doubles, [rad/s^2] */
  uint64_t stop_jerk[VLA_RT_SHM_JOINTS];        /* doubles, [rad/s^3] */
  uint64_t stop_duration[3][VLA_RT_SHM_JOINTS]; /* doubles, [s] */
};

struct vla_rt_shm {
  /* Header. */
  uint64_t magic;
  uint64_t version;    /* VLA_RT_SHM_VERSION; any other layout is another version */
  uint64_t size_bytes; /* sizeof(struct vla_rt_shm) */
  uint64_t num_joints; /* N, 1..64 */
  uint64_t reserved[4];
  uint64_t min_position[VLA_RT_SHM_JOINTS]; /* doubles; of the joints, as the robot's maker states them */
  uint64_t max_position[VLA_RT_SHM_JOINTS];
  uint64_t max_velocity[VLA_RT_SHM_JOINTS];
  uint64_t max_acceleration[VLA_RT_SHM_JOINTS];
  uint64_t max_jerk[VLA_RT_SHM_JOINTS];

  /* Written by the driver. */
  uint64_t driver_heartbeat;
  uint64_t driver_phase; /* enum vla_rt_shm_phase; a driver that fails says so here */
  uint64_t driver_error; /* a number of its own for FAILED */
  uint64_t driver_reserved[5];
  struct vla_rt_shm_state state;

  /* Written by the controller. */
  uint64_t controller_heartbeat;
  uint64_t controller_session; /* odd while a run is in progress */
  uint64_t controller_reserved[6];
  struct vla_rt_shm_command command;
};

#define VLA_RT_SHM_HEADER_WORDS (8 + 5 * VLA_RT_SHM_JOINTS)

/* --- words
 * ------------------------------------------------------------------------------------------------------ */

static inline uint64_t vla_rt_shm_load(const uint64_t* word) {
  return __atomic_load_n(word, __ATOMIC_RELAXED);
}
static inline void vla_rt_shm_store(uint64_t* word, uint64_t value) {
  __atomic_store_n(word, value, __ATOMIC_RELAXED);
}
static inline double vla_rt_shm_load_double(const uint64_t* word) {
  const uint64_t bits = vla_rt_shm_load(word);
  double value;
  memcpy(&value, &bits, sizeof value);
  return value;
}
static inline void vla_rt_shm_store_double(uint64_t* word, double value) {
  uint64_t bits;
  memcpy(&bits, &value, sizeof bits);
  vla_rt_shm_store(word, bits);
}
static inline void vla_rt_shm_beat(uint64_t* heartbeat) {
  vla_rt_shm_store(heartbeat, vla_rt_shm_load(heartbeat) + 1);
}

/* --- sequence lock: wait-free, one writer, any readers
 * ------------------------------------------------------------ */

/* Also after a writer that died in the middle and left `lock` odd. */
static inline void vla_rt_shm_begin_write(uint64_t* lock) {
  const uint64_t odd = (__atomic_load_n(lock, __ATOMIC_RELAXED) + 1) | 1;
  (void)__atomic_exchange_n(lock, odd, __ATOMIC_ACQUIRE);
}
static inline void vla_rt_shm_end_write(uint64_t* lock) {
  __atomic_store_n(lock, __atomic_load_n(lock, __ATOMIC_RELAXED) + 1, __ATOMIC_RELEASE);
}
/* Odd: a write is in progress, there is nothing to read now. */
static inline uint64_t vla_rt_shm_begin_read(const uint64_t* lock) {
  return __atomic_load_n(lock, __ATOMIC_ACQUIRE);
}
/* True when what was read since `begun` is one value. */
static inline int vla_rt_shm_end_read(uint64_t* lock, uint64_t begun) {
  return (begun & 1) == 0 && __atomic_fetch_add(lock, 0, __ATOMIC_RELEASE) == begun;
}

/* --- the driver's side of a command
 * ------------------------------------------------------------------------------- */

enum vla_rt_shm_advice {
  VLA_RT_SHM_HOLD,   /* no run, or no command yet: keep the brakes, or stay where you are */
  VLA_RT_SHM_FOLLOW, /* position and velocity are the newest command's */
  VLA_RT_SHM_LATE,   /* the next command is late: position and velocity are on the way to rest */
  VLA_RT_SHM_STOP /* the controller is dead or babbling: on the way to rest for good, until another run begins
                   */
};

/* What a driver remembers of the commands; zero-initialise it. */
struct vla_rt_shm_follower {
  uint64_t session;         /* of the command in hand; 0: none */
  uint64_t stopped_session; /* given up: nothing of it is followed any more */
  uint64_t seen_session, sequence;
  int64_t command_ns, received_ns;
  uint64_t refused;     /* reads that gave no usable command since the last good one */
  uint64_t heartbeat;   /* of the controller, when last seen */
  int64_t heartbeat_ns; /* when it last changed */
  double position[VLA_RT_SHM_JOINTS], velocity[VLA_RT_SHM_JOINTS], acceleration[VLA_RT_SHM_JOINTS];
  double stop_jerk[VLA_RT_SHM_JOINTS], stop_duration[3][VLA_RT_SHM_JOINTS];
  double given[VLA_RT_SHM_JOINTS];  /* where the robot was told to be */
  double offset[VLA_RT_SHM_JOINTS]; /* of that from the command when it came late; fades */
  int64_t offset_ns;
  int was_late, moving;
};

#define VLA_RT_SHM_FADE_S 0.05 /* over which a motion that came late is caught up with */

/* State of joint j `t` seconds into the stop of the command in hand. */
static inline void vla_rt_shm_stop_state(const struct vla_rt_shm_follower* f, int j, double t, double* q,
                                         double* v) {
  double a = f->acceleration[j];
  *q = f->position[j];
  *v = f->velocity[j];
  for (int k = 0; k < 3; ++k) {
    const double jerk = k == 0 ? f->stop_jerk[j] : k == 1 ? 0.0 : -f->stop_jerk[j];
    const double dt = t < f->stop_duration[k][j] ? t : f->stop_duration[k][j];
    *q += dt * (*v + dt * (a / 2 + dt * jerk / 6));
    *v += dt * (a + dt * jerk / 2);
    a += dt * jerk;
    t -= dt;
    if (t <= 0) return;
  }
  *v = 0;
}

/* Whether the command in hand and all of its stop keep joint j within the limits of the segment's header, and
 * the stop ends at rest. */
static inline int vla_rt_shm_stop_is_within(const struct vla_rt_shm_follower* f, const struct vla_rt_shm* shm,
                                            int j) {
  const double low = vla_rt_shm_load_double(&shm->min_position[j]);
  const double high = vla_rt_shm_load_double(&shm->max_position[j]);
  const double slack = 1e-6 * (1 + high - low);
  const double speed = vla_rt_shm_load_double(&shm->max_velocity[j]) * (1 + 1e-6);
  const double most = vla_rt_shm_load_double(&shm->max_acceleration[j]) * (1 + 1e-6);
  const double sudden = vla_rt_shm_load_double(&shm->max_jerk[j]) * (1 + 1e-6);
  double q = f->position[j], v = f->velocity[j], a = f->acceleration[j];
  if (!(fabs(f->stop_jerk[j]) <= sudden)) return 0;
  for (int k = 0; k < 3; ++k) {
    const double jerk = k == 0 ? f->stop_jerk[j] : k == 1 ? 0.0 : -f->stop_jerk[j];
    const double duration = f->stop_duration[k][j];
    if (!(duration >= 0 && duration <= 1e6 && fabs(a) <= most)) return 0;
    /* Where velocity and position can be largest: at both ends, where a = 0, where v = 0. */
    double at[5] = {0, duration, -1, -1, -1};
    if (jerk != 0) {
      const double root = a * a - 2 * jerk * v;
      at[2] = -a / jerk;
      if (root >= 0) {
        at[3] = (-a - sqrt(root)) / jerk;
        at[4] = (-a + sqrt(root)) / jerk;
      }
    } else if (a != 0) {
      at[2] = -v / a;
    }
    for (int i = 0; i < 5; ++i) {
      const double t = at[i];
      if (!(t >= 0 && t <= duration)) continue;
      if (!(fabs(v + t * (a + t * jerk / 2)) <= speed)) return 0;
      const double there = q + t * (v + t * (a / 2 + t * jerk / 6));
      if (!(there >= low - slack && there <= high + slack)) return 0;
    }
    q += duration * (v + duration * (a / 2 + duration * jerk / 6));
    v += duration * (a + duration * jerk / 2);
    a += duration * jerk;
  }
  return fabs(v) <= 1e-6 * (1 + speed);
}

/* Takes the newest command when there is one that is whole, newer, finite, between the limits, all of its
 * stop included, and no further from the one before than the joints can go. 1: taken, 0: nothing new, -1:
 * refused.
 */
static inline int vla_rt_shm_take(struct vla_rt_shm_follower* f, struct vla_rt_shm* shm, int n,
                                  int64_t now_ns, int64_t late_ns) {
  struct vla_rt_shm_command* c = &shm->command;
  struct vla_rt_shm_follower next;
  for (int tries = 0; tries < VLA_RT_SHM_TRIES; ++tries) {
    const uint64_t begun = vla_rt_shm_begin_read(&c->lock);
    if (begun & 1) continue;
    next.session = vla_rt_shm_load(&c->session);
    next.sequence = vla_rt_shm_load(&c->sequence);
    next.command_ns = (int64_t)vla_rt_shm_load(&c->time_ns);
    if (next.session == f->session && next.sequence == f->sequence) {
      if (!vla_rt_shm_end_read(&c->lock, begun)) continue;
      return 0;
    }
    for (int j = 0; j < n; ++j) {
      next.position[j] = vla_rt_shm_load_double(&c->position[j]);
      next.velocity[j] = vla_rt_shm_load_double(&c->velocity[j]);
      next.acceleration[j] = vla_rt_shm_load_double(&c->acceleration[j]);
      next.stop_jerk[j] = vla_rt_shm_load_double(&c->stop_jerk[j]);
      for (int k = 0; k < 3; ++k) next.stop_duration[k][j] = vla_rt_shm_load_double(&c->stop_duration[k][j]);
    }
    if (!vla_rt_shm_end_read(&c->lock, begun)) continue;

    if (next.session != f->seen_session) return 0; /* left over from an earlier run */
    if (next.session == f->session && (next.sequence < f->sequence || next.command_ns < f->command_ns))
      return -1;
    for (int j = 0; j < n; ++j) {
      if (!vla_rt_shm_stop_is_within(&next, shm, j)) return -1;
      if (next.session == f->session) { /* no motion goes that far in the time */
        const double range =
            vla_rt_shm_load_double(&shm->max_position[j]) - vla_rt_shm_load_double(&shm->min_position[j]);
        const double speed = vla_rt_shm_load_double(&shm->max_velocity[j]) * (1 + 1e-6);
        const double most =
            speed * (double)(now_ns - f->received_ns + 2 * late_ns) * 1e-9 + 1e-6 * (1 + range);
        if (!(fabs(next.position[j] - f->position[j]) <= most)) return -1;
      }
    }
    f->session = next.session;
    f->sequence = next.sequence;
    f->command_ns = next.command_ns;
    f->received_ns = now_ns;
    for (int j = 0; j < n; ++j) {
      f->position[j] = next.position[j];
      f->velocity[j] = next.velocity[j];
      f->acceleration[j] = next.acceleration[j];
      f->stop_jerk[j] = next.stop_jerk[j];
      for (int k = 0; k < 3; ++k) f->stop_duration[k][j] = next.stop_duration[k][j];
    }
    return 1;
  }
  return -1; /* torn, every time */
}

/* What the robot shall do at `now_ns`; call it once per cycle. `position` and `velocity` (N each) are written
 * unless the answer is HOLD. A command older than `late_ns` (one and a half periods of the controller, say)
 * is followed along the stop it carries; one that comes after all is caught up with smoothly; none within
 * `timeout_ns` is the end of the session. Wait-free. `n` is num_joints as the driver itself set it. */
static inline enum vla_rt_shm_advice vla_rt_shm_follow(struct vla_rt_shm_follower* f, struct vla_rt_shm* shm,
                                                       int n, int64_t now_ns, int64_t late_ns,
                                                       int64_t timeout_ns, double* position,
                                                       double* velocity) {
  const uint64_t session = vla_rt_shm_load(&shm->controller_session);
  const uint64_t beat = vla_rt_shm_load(&shm->controller_heartbeat);
  if (beat != f->heartbeat) {
    f->heartbeat = beat;
    f->heartbeat_ns = now_ns;
  }
  if ((session & 1) && session != f->stopped_session && session != f->seen_session && !f->moving) {
    f->seen_session = session; /* another run: its first command begins where the robot rests */
    f->session = 0;
    f->offset_ns = 0;
    f->was_late = 0;
  }
  int taken = 0;
  if (f->seen_session != f->stopped_session && f->seen_session != 0) {
    taken = vla_rt_shm_take(f, shm, n, now_ns, late_ns);
    if (taken < 0) ++f->refused;
    if (taken > 0) f->refused = 0;
  }
  if (f->session == 0) return VLA_RT_SHM_HOLD;

  int64_t age = now_ns - f->received_ns;
  if (age < 0) age = 0;
  const int late = age > late_ns;
  if (taken > 0 && f->was_late) {
    f->offset_ns = now_ns;
    for (int j = 0; j < n; ++j) f->offset[j] = f->given[j] - f->position[j];
  }
  const double s = (double)(now_ns - f->offset_ns) * 1e-9 / VLA_RT_SHM_FADE_S;
  const double fade = f->offset_ns == 0 || s >= 1 ? 0 : s <= 0 ? 1 : 1 - s * s * s * (10 + s * (-15 + 6 * s));
  int moving = 0;
  for (int j = 0; j < n; ++j) {
    double q = f->position[j], v = f->velocity[j];
    if (late) vla_rt_shm_stop_state(f, j, (double)age * 1e-9, &q, &v);
    position[j] = f->given[j] = q + (fade > 0 ? fade * f->offset[j] : 0);
    velocity[j] = v;
    moving |= v != 0;
  }
  f->was_late = late;
  f->moving = moving;
  if (age > timeout_ns) {
    f->stopped_session = f->seen_session;
    if ((session & 1) || moving) return VLA_RT_SHM_STOP;
    f->session = 0; /* the run ended in order, at rest */
    return VLA_RT_SHM_HOLD;
  }
  return late ? VLA_RT_SHM_LATE : VLA_RT_SHM_FOLLOW;
}

#ifdef __cplusplus
}
#endif
#endif

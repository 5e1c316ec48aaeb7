/* Preloaded: the process sees the wall clock this many seconds off, as after a step of NTP or by hand. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static int (*real)(clockid_t, struct timespec*);
static volatile const int64_t* offset_s;

__attribute__((constructor)) static void begin(void) {
  const char* path = getenv("SOAK_CLOCK");
  const int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
  void* page = file < 0 ? MAP_FAILED : mmap(0, sizeof *offset_s, PROT_READ, MAP_SHARED, file, 0);
  if (page != MAP_FAILED) offset_s = page;
  if (file >= 0) close(file);
  *(void**)&real = dlsym(RTLD_NEXT, "clock_gettime");
}

int clock_gettime(clockid_t clock, struct timespec* now) {
  const int failed = real ? real(clock, now) : (int)syscall(SYS_clock_gettime, clock, now);
  if (failed == 0 && clock == CLOCK_REALTIME && offset_s) now->tv_sec += *offset_s;
  return failed;
}

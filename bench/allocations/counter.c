/* Counts the allocations of each thread; preloaded by the module beside it. Works with glibc. */
#include <stddef.h>

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);

static __thread long count __attribute__((tls_model("initial-exec")));

long vla_rt_allocations(void) { return count; }

void *malloc(size_t size) {
  ++count;
  return __libc_malloc(size);
}
void *calloc(size_t n, size_t size) {
  ++count;
  return __libc_calloc(n, size);
}
void *realloc(void *p, size_t size) {
  ++count;
  return __libc_realloc(p, size);
}
void *aligned_alloc(size_t alignment, size_t size) {
  ++count;
  return __libc_memalign(alignment, size);
}
int posix_memalign(void **p, size_t alignment, size_t size) {
  ++count;
  *p = __libc_memalign(alignment, size);
  return *p ? 0 : 12; /* ENOMEM */
}

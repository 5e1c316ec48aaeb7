/* What one core of this machine computes and reads at most; compiled by the module beside it for this processor. */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

enum { kTurns = 20000 };


/* Best rate over some repetitions of `turn`, which does `amount` of work: amount per nanosecond. */
static double best(double (*turn)(void *), void *what, double amount, int repetitions) {
  double quickest = 1e9;
  for (int i = 0; i < repetitions; ++i) {
    const double took = turn(what);
    if (took < quickest) quickest = took;
  }
  return amount / quickest * 1e-9;
}

/* In a register, whatever it holds: neither dropped nor joined with another. */
#if defined(__AVX512F__)
enum { kLanes = 16, kOuter = 4, kInner = 6 };
#define KEEP(value) __asm__ volatile("" : "+v"(value))
#define MULTIPLY_ADD(x, a, b) _mm512_fmadd_ps(x, a, b)
#elif defined(__FMA__)
enum { kLanes = 8, kOuter = 2, kInner = 6 };
#define KEEP(value) __asm__ volatile("" : "+x"(value))
#define MULTIPLY_ADD(x, a, b) _mm256_fmadd_ps(x, a, b)
#else
enum { kLanes = 4, kOuter = 2, kInner = 6 };
#define KEEP(value) __asm__ volatile("" : "+g"(value))
#define MULTIPLY_ADD(x, a, b) ((x) * (a) + (b))
#endif
typedef float Floats __attribute__((vector_size(4 * kLanes)));
static volatile float sink;

static double multiply_add(void *unused) {
  Floats sum[kOuter][kInner], a = {0}, b = {0};
  (void)unused;
  for (int i = 0; i < kLanes; ++i) a[i] = 0.999f, b[i] = 1e-3f;
  for (int i = 0; i < kOuter; ++i)
    for (int j = 0; j < kInner; ++j) sum[i][j] = b;
  const double start = now();
  for (int t = 0; t < kTurns; ++t)
    for (int i = 0; i < kOuter; ++i)
      for (int j = 0; j < kInner; ++j) {
        Floats x = MULTIPLY_ADD(sum[i][j], a, b);
        KEEP(x);
        sum[i][j] = x;
      }
  const double took = now() - start;
  Floats total = b;
  for (int i = 0; i < kOuter; ++i)
    for (int j = 0; j < kInner; ++j) total += sum[i][j];
  sink = total[0];
  return took;
}

double floor_float32(void) { return best(multiply_add, NULL, 2.0 * kTurns * kOuter * kInner * kLanes, 200); }

#if defined(__AVX512BF16__) && defined(__AVX512VNNI__)
#define DOT_PRODUCT(name, Type, zero, add, step)             \
  static double name(void *unused) {                         \
    Type sum[kOuter][kInner], total = zero;                  \
    __m512i a = _mm512_set1_epi32(0x01010101);               \
    (void)unused;                                            \
    for (int i = 0; i < kOuter; ++i)                         \
      for (int j = 0; j < kInner; ++j) sum[i][j] = zero;     \
    const double start = now();                              \
    for (int t = 0; t < kTurns; ++t)                         \
      for (int i = 0; i < kOuter; ++i)                       \
        for (int j = 0; j < kInner; ++j) {                   \
          Type x = step;                                     \
          KEEP(x);                                           \
          sum[i][j] = x;                                     \
        }                                                    \
    const double took = now() - start;                       \
    for (int i = 0; i < kOuter; ++i)                         \
      for (int j = 0; j < kInner; ++j) total = add(total, sum[i][j]); \
    sink = (float)total[0];                                  \
    return took;                                             \
  }
DOT_PRODUCT(dot_bfloat16, __m512, _mm512_setzero_ps(), _mm512_add_ps,
            _mm512_dpbf16_ps(sum[i][j], (__m512bh)a, (__m512bh)a))
DOT_PRODUCT(dot_int8, __m512i, _mm512_setzero_si512(), _mm512_add_epi32,
            _mm512_dpbusd_epi32(sum[i][j], a, a))
double floor_bfloat16(void) { return best(dot_bfloat16, NULL, 4.0 * kTurns * kOuter * kInner * kLanes, 200); }
double floor_int8(void) { return best(dot_int8, NULL, 8.0 * kTurns * kOuter * kInner * kLanes, 200); }
#else
double floor_bfloat16(void) { return 0; }
double floor_int8(void) { return 0; }
#endif

typedef int64_t Words __attribute__((vector_size(4 * kLanes)));
struct Stretch {
  const Words *words;
  size_t count, times;
};

static double read_all(void *what) {
  const struct Stretch s = *(const struct Stretch *)what;
  Words sum[8] = {{0}};
  const double start = now();
  for (size_t t = 0; t < s.times; ++t)
    for (size_t i = 0; i + 8 <= s.count; i += 8)
      for (int j = 0; j < 8; ++j) {
        Words x = sum[j] ^ s.words[i + (size_t)j];
        KEEP(x);
        sum[j] = x;
      }
  const double took = now() - start;
  for (int j = 1; j < 8; ++j) sum[0] ^= sum[j];
  sink = (float)sum[0][0];
  return took;
}

/* Bytes per nanosecond over a stretch of memory of this size, read again and again. */
double floor_read(size_t bytes) {
  const size_t page = (size_t)2 << 20, whole = (bytes + page - 1) / page * page;
  void *memory = aligned_alloc(page, whole);
  if (memory == NULL) return 0;
  madvise(memory, whole, MADV_HUGEPAGE);
  memset(memory, 1, whole);
  struct Stretch s = {memory, bytes / sizeof(Words), 1};
  if (bytes < (size_t)16 << 20) s.times = ((size_t)16 << 20) / bytes;
  const double rate = best(read_all, &s, (double)(s.count * sizeof(Words)) * (double)s.times, 15);
  free(memory);
  return rate;
}

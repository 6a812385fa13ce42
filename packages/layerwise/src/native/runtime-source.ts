/** The permanent runtime library of the native target, in C: memory, thread pool, chunk scheduler. */

/** Grows when the interface below changes; part of every cache key. */
export const runtimeAbi = 4;

/**
 * Programs are tables of calls and stages over functions from program libraries. Threads take chunks of the open stage by
 * compare-and-swap on one word (generation, stage, chunks left); whoever completes the last chunk opens the next stage.
 * A late thread holds nobody up, and every wait has a time limit.
 */
export const runtimeSource = `
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#if defined(__linux__) && !defined(LW_NO_FUTEX)
#define LW_FUTEX
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif
#define EXPORT __attribute__((visibility("default")))

typedef void (*kernel_fn)(int32_t begin, int32_t end, char *scratch, char *const *p);
typedef struct { kernel_fn fn; int32_t first_binding, bindings, tasks, chunk, first_chunk; } call_t;
typedef struct { int32_t first_call, calls, chunks, serial; } stage_t;
typedef struct {
  call_t *calls; stage_t *stages; int32_t n_calls, n_stages, n_bindings;
  int32_t *slot; int64_t *offset; char **ptr; int64_t scratch;
} program_t;

typedef struct {
  _Alignas(64) _Atomic uint64_t word;
  _Alignas(64) _Atomic int32_t completed;
  _Alignas(64) _Atomic uint32_t epoch;
  _Atomic int32_t sleepers;
  _Atomic int32_t stop;
  program_t *program; char *scratch; int64_t scratch_stride;
  int32_t threads; pthread_t *handles; uint32_t generation;
#ifndef LW_FUTEX
  pthread_mutex_t mutex; pthread_cond_t bell;
#endif
} pool_t;
typedef struct { pool_t *pool; int32_t id; } worker_t;

static void pause_cpu(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

static int64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/*
 * Polls before a thread sleeps: inside a step as long as its own last chunk took, since the others are at most about a chunk
 * behind and waking a sleeper may take as long; between steps, where the next one usually comes soon.
 */
#define LEAST_SPIN_NS 15000
#define MOST_SPIN_NS 500000
#define IDLE_SPIN_NS 60000
static int64_t spin_for(int64_t chunk) {
  return chunk < LEAST_SPIN_NS ? LEAST_SPIN_NS : chunk > MOST_SPIN_NS ? MOST_SPIN_NS : chunk;
}
/* True while a spell of polling that began at *since (0: begins now) has not lasted for so long. */
static int spinning(int64_t *since, int64_t limit) {
  for (int i = 0; i < 4; i++) pause_cpu();
  int64_t now = now_ns();
  if (*since == 0) *since = now;
  return now - *since < limit;
}

/* Sleeps until the epoch or the word is another one, at most so long. Who changes them looks at the sleepers afterwards. */
static void park(pool_t *pool, uint32_t epoch, uint64_t word, long microseconds) {
  atomic_fetch_add(&pool->sleepers, 1);
  if (atomic_load(&pool->epoch) == epoch && atomic_load(&pool->word) == word) {
#ifdef LW_FUTEX
    struct timespec t = { microseconds / 1000000, (microseconds % 1000000) * 1000 };
    syscall(SYS_futex, &pool->epoch, FUTEX_WAIT_PRIVATE, epoch, &t, NULL, 0);
#else
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    t.tv_sec += microseconds / 1000000;
    t.tv_nsec += microseconds % 1000000 * 1000;
    if (t.tv_nsec >= 1000000000) { t.tv_sec++; t.tv_nsec -= 1000000000; }
    pthread_mutex_lock(&pool->mutex);
    if (atomic_load(&pool->epoch) == epoch) pthread_cond_timedwait(&pool->bell, &pool->mutex, &t);
    pthread_mutex_unlock(&pool->mutex);
#endif
  }
  atomic_fetch_sub(&pool->sleepers, 1);
}
static void wake_all(pool_t *pool) {
  atomic_fetch_add(&pool->epoch, 1);
  if (atomic_load(&pool->sleepers) == 0) return;
#ifdef LW_FUTEX
  syscall(SYS_futex, &pool->epoch, FUTEX_WAKE_PRIVATE, INT32_MAX, NULL, NULL, 0);
#else
  pthread_mutex_lock(&pool->mutex);
  pthread_cond_broadcast(&pool->bell);
  pthread_mutex_unlock(&pool->mutex);
#endif
}

static uint64_t word_of(uint32_t generation, uint32_t stage, uint32_t chunks) {
  return (uint64_t)generation << 32 | (uint64_t)stage << 16 | chunks;
}
static void run_chunk(program_t *p, const stage_t *s, int32_t chunk, char *scratch) {
  for (int32_t i = s->first_call; i < s->first_call + s->calls; i++) {
    const call_t *c = &p->calls[i];
    if (s->serial) { c->fn(0, c->tasks, scratch, p->ptr + c->first_binding); continue; }
    int32_t local = chunk - c->first_chunk;
    int32_t chunks = (c->tasks + c->chunk - 1) / c->chunk;
    if (local < 0 || local >= chunks) continue;
    int32_t begin = local * c->chunk, end = begin + c->chunk;
    c->fn(begin, end < c->tasks ? end : c->tasks, scratch, p->ptr + c->first_binding);
    return;
  }
}
/* Works on generation g until its last stage is complete; returns early when another generation is open. */
static void work(pool_t *pool, uint32_t g, int32_t id) {
  int64_t chunk_ns = 0;
  for (int64_t since = 0;;) {
    uint64_t w = atomic_load_explicit(&pool->word, memory_order_acquire);
    if ((uint32_t)(w >> 32) != g) return;
    uint32_t stage = (uint32_t)(w >> 16) & 0xffff, left = (uint32_t)w & 0xffff;
    if (stage == 0xffff) return;
    if (left == 0) {
      if (spinning(&since, spin_for(chunk_ns))) continue;
      park(pool, atomic_load(&pool->epoch), w, 2000);
      since = 0;
      continue;
    }
    since = 0;
    if (!atomic_compare_exchange_weak(&pool->word, &w, w - 1)) continue;
    program_t *p = pool->program;
    const stage_t *s = &p->stages[stage];
    int64_t began = now_ns();
    run_chunk(p, s, s->chunks - (int32_t)left, pool->scratch + id * pool->scratch_stride);
    chunk_ns = now_ns() - began;
    if (atomic_fetch_add(&pool->completed, 1) + 1 == s->chunks) {
      atomic_store(&pool->completed, 0);
      uint32_t next = stage + 1;
      if ((int32_t)next == p->n_stages) { atomic_store(&pool->word, word_of(g, 0xffff, 0)); wake_all(pool); return; }
      atomic_store(&pool->word, word_of(g, next, (uint32_t)p->stages[next].chunks));
      if (atomic_load(&pool->sleepers) > 0) wake_all(pool);
    }
  }
}
static void *worker_main(void *arg) {
  worker_t me = *(worker_t *)arg;
  free(arg);
  pool_t *pool = me.pool;
  uint32_t done = 0;
  for (int64_t since = 0; !atomic_load_explicit(&pool->stop, memory_order_relaxed);) {
    uint64_t w = atomic_load_explicit(&pool->word, memory_order_acquire);
    uint32_t g = (uint32_t)(w >> 32);
    if (g != done && ((w >> 16) & 0xffff) != 0xffff) { work(pool, g, me.id); done = g; since = 0; continue; }
    if (spinning(&since, IDLE_SPIN_NS)) continue;
    park(pool, atomic_load(&pool->epoch), w, 500000);
    since = 0;
  }
  return NULL;
}

/* Keeps this library itself in memory: its threads run to the end of the process, when others may close it. */
EXPORT int32_t lw_pin(const char *path) { return dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE) != NULL; }
EXPORT void *lw_open(const char *path) { return dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE); }
EXPORT const char *lw_error(void) { const char *e = dlerror(); return e ? e : ""; }
EXPORT uint64_t lw_symbol(void *library, const char *name) { return (uint64_t)(uintptr_t)dlsym(library, name); }

/* Zeroed and aligned memory with room behind it. Large blocks come from the system page by page, as they are first touched. */
#define LARGE (1 << 20)
EXPORT void *lw_alloc(int64_t bytes) {
  size_t need = (size_t)bytes + 128;
  if (bytes < LARGE) {
    void *p = NULL;
    if (posix_memalign(&p, 64, need)) return NULL;
    memset(p, 0, need);
    return p;
  }
  char *p = mmap(NULL, need, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED) return NULL;
#ifdef MADV_HUGEPAGE
  /* In large pages, where the system gives them on request: fewer faults, fewer address look-ups. */
  if (bytes >= 4 * LARGE) madvise(p, need, MADV_HUGEPAGE);
#endif
  return p;
}
EXPORT void lw_free(void *p, int64_t bytes) {
  if (bytes < LARGE) free(p);
  else munmap(p, (size_t)bytes + 128);
}

/* Whether kernels may use the matrix unit: Linux keeps its registers only for processes that ask first. */
EXPORT int32_t lw_matrix(void) {
#if defined(__AMX_TILE__) && defined(__AMX_BF16__) && defined(LW_FUTEX) && defined(SYS_arch_prctl)
  enum { ARCH_REQ_XCOMP_PERM = 0x1023, XTILEDATA = 18 };
  return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XTILEDATA) == 0;
#else
  return 0;
#endif
}
EXPORT void *lw_pool(int32_t threads) {
  pool_t *pool = NULL;
  if (posix_memalign((void **)&pool, 64, sizeof *pool)) return NULL;
  memset(pool, 0, sizeof *pool);
  pool->threads = threads;
#ifndef LW_FUTEX
  pthread_mutex_init(&pool->mutex, NULL);
  pthread_cond_init(&pool->bell, NULL);
#endif
  atomic_store(&pool->word, word_of(0, 0xffff, 0));
  pool->handles = calloc((size_t)threads, sizeof(pthread_t));
  for (int32_t i = 1; i < threads; i++) {
    worker_t *w = malloc(sizeof *w);
    w->pool = pool; w->id = i;
    if (pthread_create(&pool->handles[i], NULL, worker_main, w)) { free(w); pool->threads = i; break; }
  }
  return pool;
}
EXPORT void lw_pool_free(void *handle) {
  pool_t *pool = handle;
  atomic_store(&pool->stop, 1);
  wake_all(pool);
  for (int32_t i = 1; i < pool->threads; i++) pthread_join(pool->handles[i], NULL);
  free(pool->handles); free(pool->scratch); free(pool);
}

/* table: [n_calls, n_stages, n_bindings, then per call (bindings, tasks, chunk, first_chunk), per stage (first_call, calls, chunks, serial), per binding (slot)] */
EXPORT void *lw_program(const int32_t *table, const int64_t *offsets, void *const *functions, int64_t scratch) {
  program_t *p = calloc(1, sizeof *p);
  p->n_calls = table[0]; p->n_stages = table[1]; p->n_bindings = table[2];
  const int32_t *t = table + 3;
  p->calls = calloc((size_t)p->n_calls + 1, sizeof(call_t));
  p->stages = calloc((size_t)p->n_stages + 1, sizeof(stage_t));
  p->slot = calloc((size_t)p->n_bindings + 1, sizeof(int32_t));
  p->offset = calloc((size_t)p->n_bindings + 1, sizeof(int64_t));
  p->ptr = calloc((size_t)p->n_bindings + 1, sizeof(char *));
  int32_t first = 0;
  for (int32_t i = 0; i < p->n_calls; i++, t += 4) {
    p->calls[i] = (call_t){ (kernel_fn)functions[i], first, t[0], t[1], t[2], t[3] };
    first += t[0];
  }
  for (int32_t i = 0; i < p->n_stages; i++, t += 4) p->stages[i] = (stage_t){ t[0], t[1], t[2], t[3] };
  memcpy(p->slot, t, (size_t)p->n_bindings * sizeof(int32_t));
  memcpy(p->offset, offsets, (size_t)p->n_bindings * sizeof(int64_t));
  p->scratch = (scratch + 4095) / 4096 * 4096 + 4096;
  return p;
}
EXPORT void lw_program_free(void *handle) {
  program_t *p = handle;
  free(p->calls); free(p->stages); free(p->slot); free(p->offset); free(p->ptr); free(p);
}
/* Addresses of the slots; needed once and after every move. */
EXPORT void lw_place(void *handle, void *const *slots) {
  program_t *p = handle;
  for (int32_t i = 0; i < p->n_bindings; i++) p->ptr[i] = (char *)slots[p->slot[i]] + p->offset[i];
}
static int32_t reserve_scratch(pool_t *pool, const program_t *p) {
  if (p->scratch <= pool->scratch_stride) return 0;
  free(pool->scratch); pool->scratch = NULL;
  if (posix_memalign((void **)&pool->scratch, 4096, (size_t)(p->scratch * pool->threads))) { pool->scratch_stride = 0; return 1; }
  pool->scratch_stride = p->scratch;
  return 0;
}
/* One run on this thread; nanoseconds of each call. */
EXPORT int32_t lw_time(void *pool_handle, void *handle, double *nanoseconds) {
  pool_t *pool = pool_handle;
  program_t *p = handle;
  if (reserve_scratch(pool, p)) return 1;
  struct timespec a, b;
  for (int32_t i = 0; i < p->n_calls; i++) {
    clock_gettime(CLOCK_MONOTONIC, &a);
    p->calls[i].fn(0, p->calls[i].tasks, pool->scratch, p->ptr + p->calls[i].first_binding);
    clock_gettime(CLOCK_MONOTONIC, &b);
    nanoseconds[i] = 1e9 * (double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec);
  }
  return 0;
}
EXPORT int32_t lw_run(void *pool_handle, void *handle, int32_t threads) {
  pool_t *pool = pool_handle;
  program_t *p = handle;
  if (reserve_scratch(pool, p)) return 1;
  if (threads <= 1 || pool->threads <= 1) {
    for (int32_t i = 0; i < p->n_calls; i++) p->calls[i].fn(0, p->calls[i].tasks, pool->scratch, p->ptr + p->calls[i].first_binding);
    return 0;
  }
  if (p->n_stages == 0) return 0;
  pool->program = p;
  uint32_t g = ++pool->generation;
  if (g == 0) g = ++pool->generation;
  atomic_store(&pool->completed, 0);
  atomic_store(&pool->word, word_of(g, 0, (uint32_t)p->stages[0].chunks));
  wake_all(pool);
  do { work(pool, g, 0); } while (((atomic_load(&pool->word) >> 16) & 0xffff) != 0xffff);
  return 0;
}
`;

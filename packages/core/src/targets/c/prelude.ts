/** The C prelude: vector types and the primitive operations of LoopIR on them, with the defined edge cases. */

/** Vector widths that programs may use, in lanes of 32 bits. */
const widths = [4, 8, 16] as const;

/** Text before the kernels. `fma`: one rounding; without it a·b + c is two operations (`strict`). */
export function prelude(fma: boolean): string {
  return [
    "#include <stdint.h>",
    "#if defined(__x86_64__) || defined(__i386__)",
    "#include <immintrin.h>",
    "#elif defined(__ARM_NEON)",
    "#include <arm_neon.h>",
    "#endif",
    "#define INLINE static inline __attribute__((always_inline))",
    "typedef float f1; typedef int32_t i1; typedef uint32_t u1; typedef int32_t m1;",
    // Clang has only the first of these, GCC before 12 only the second.
    "#if defined(__clang__)",
    "#define SHUFFLE(type, a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)",
    "#else",
    "#define SHUFFLE(type, a, b, ...) __builtin_shuffle(a, b, (type){__VA_ARGS__})",
    "#endif",
    ...widths.map(vectorTypes),
    scalars,
    ...widths.map((n) => vectors(n, fma)),
    fma
      ? "INLINE f1 fma_1(f1 a, f1 b, f1 c) { return __builtin_fmaf(a, b, c); }"
      : "INLINE f1 fma_1(f1 a, f1 b, f1 c) { return a * b + c; }",
    halves,
    matrixUnit,
    streams,
    "",
  ].join("\n");
}

function vectorTypes(n: number): string {
  const bytes = 4 * n;
  const v = (name: string, base: string) =>
    `typedef ${base} ${name}${n} __attribute__((vector_size(${bytes}))); typedef ${base} ${name}${n}u __attribute__((vector_size(${bytes}), aligned(4), may_alias));`;
  return [v("f", "float"), v("i", "int32_t"), v("u", "uint32_t"), `typedef i${n} m${n};`].join("\n");
}

const scalars = `
INLINE f1 bits_f1(i1 x) { f1 r; __builtin_memcpy(&r, &x, 4); return r; }
INLINE i1 bits_i1(f1 x) { i1 r; __builtin_memcpy(&r, &x, 4); return r; }
INLINE f1 min_f1(f1 a, f1 b) { return a != a || b != b ? a + b : a < b ? a : b < a ? b : bits_f1(bits_i1(a) | bits_i1(b)); }
INLINE f1 max_f1(f1 a, f1 b) { return a != a || b != b ? a + b : a > b ? a : b > a ? b : bits_f1(bits_i1(a) & bits_i1(b)); }
INLINE i1 min_i1(i1 a, i1 b) { return a < b ? a : b; }
INLINE i1 max_i1(i1 a, i1 b) { return a > b ? a : b; }
INLINE u1 min_u1(u1 a, u1 b) { return a < b ? a : b; }
INLINE u1 max_u1(u1 a, u1 b) { return a > b ? a : b; }
INLINE i1 div_i1(i1 a, i1 b) { return b == 0 ? 0 : b == -1 ? (i1)(0u - (u1)a) : a / b; }
INLINE i1 rem_i1(i1 a, i1 b) { return b == 0 || b == -1 ? 0 : a % b; }
INLINE u1 div_u1(u1 a, u1 b) { return b == 0 ? 0 : a / b; }
INLINE u1 rem_u1(u1 a, u1 b) { return b == 0 ? 0 : a % b; }
INLINE i1 mulhi_i1(i1 a, i1 b) { return (i1)(((int64_t)a * b) >> 32); }
INLINE u1 mulhi_u1(u1 a, u1 b) { return (u1)(((uint64_t)a * b) >> 32); }
INLINE i1 shl_i1(i1 a, i1 b) { return (i1)((u1)a << (b & 31)); }
INLINE u1 shl_u1(u1 a, u1 b) { return a << (b & 31); }
INLINE i1 shr_i1(i1 a, i1 b) { return a >> (b & 31); }
INLINE u1 shr_u1(u1 a, u1 b) { return a >> (b & 31); }
INLINE i1 f2i_1(f1 x) { return x != x ? 0 : x >= 2147483648.0f ? INT32_MAX : x < -2147483648.0f ? INT32_MIN : (i1)x; }
INLINE u1 f2u_1(f1 x) { return !(x > 0) ? 0 : x >= 4294967296.0f ? UINT32_MAX : (u1)x; }
INLINE f1 abs_f1(f1 x) { return __builtin_fabsf(x); }
INLINE i1 abs_i1(i1 x) { return x < 0 ? (i1)(0u - (u1)x) : x; }
INLINE f1 sqrt_f1(f1 x) { return __builtin_sqrtf(x); }
INLINE f1 floor_f1(f1 x) { return __builtin_floorf(x); }
INLINE f1 ceil_f1(f1 x) { return __builtin_ceilf(x); }
INLINE f1 trunc_f1(f1 x) { return __builtin_truncf(x); }
INLINE f1 round_f1(f1 x) { return __builtin_rintf(x); }`;

/** Stores the low bytes of n lanes: compilers take the lanes out one by one where they are not told how. */
function storeBytes(n: number): string {
  const [guard, body] = {
    4: [
      "__SSSE3__",
      "__m128i s = _mm_shuffle_epi8((__m128i)x, _mm_set1_epi32(0x0c080400)); __builtin_memcpy(p, &s, 4);",
    ],
    8: [
      "__AVX2__",
      "__m256i s = _mm256_shuffle_epi8((__m256i)x, _mm256_set1_epi32(0x0c080400)); __m128i h = _mm256_extracti128_si256(s, 1); __builtin_memcpy(p, &s, 4); __builtin_memcpy(p + 4, &h, 4);",
    ],
    16: ["__AVX512F__", "_mm_storeu_si128((__m128i *)p, _mm512_cvtepi32_epi8((__m512i)x));"],
  }[n]!;
  return [
    `INLINE void store_bytes_${n}(uint8_t *p, i${n} x) {`,
    `#if defined(${guard})`,
    `  ${body}`,
    "#else",
    `  for (int i = 0; i < ${n}; i++) p[i] = (uint8_t)x[i];`,
    "#endif",
    "}",
  ].join("\n");
}

/** Native instruction for a unary f32 operation of n lanes, or a loop over the lanes. */
function native(name: string, n: number, x86: string | null, neon: string | null): string {
  const guard = { 4: "__SSE4_1__", 8: "__AVX__", 16: "__AVX512F__" }[n];
  const lines = [`INLINE f${n} ${name}_f${n}(f${n} x) {`];
  if (x86) lines.push(`#if defined(${guard})`, `  return (f${n})${x86};`, "#else");
  if (neon && n === 4) lines.push("#if defined(__aarch64__)", `  return (f4)${neon};`, "#else");
  lines.push(`  f${n} r; for (int i = 0; i < ${n}; i++) r[i] = ${name}_f1(x[i]); return r;`);
  if (neon && n === 4) lines.push("#endif");
  if (x86) lines.push("#endif");
  lines.push("}");
  return lines.join("\n");
}

/** x86's intrinsics of n lanes and the name of their vectors. */
const x86 = (n: number) => ({ 4: ["_mm", "__m128"], 8: ["_mm256", "__m256"], 16: ["_mm512", "__m512"] })[n]!;

/** A function with one body for x86 with vectors of n lanes, perhaps one for NEON, and one for every machine. */
function guarded(n: number, head: string, native: string, plain: string, neon?: string): string[] {
  return [
    `${head} {`,
    `#if defined(${{ 4: "__SSE4_1__", 8: "__AVX__", 16: "__AVX512F__" }[n]})`,
    `  ${native}`,
    ...(neon && n === 4 ? ["#elif defined(__aarch64__)", `  ${neon}`] : []),
    "#else",
    `  ${plain}`,
    "#endif",
    "}",
  ];
}

/** Masks are all ones or all zeros in every lane. */
function selections(n: number): string[] {
  const [mm, reg] = x86(n);
  const native =
    n === 16
      ? "_mm512_ternarylogic_epi32((__m512i)m, (__m512i)a, (__m512i)b, 0xca)"
      : `${mm}_blendv_ps((${reg})b, (${reg})a, (${reg})m)`;
  return ["f", "i", "u"].flatMap((t) =>
    guarded(
      n,
      `INLINE ${t}${n} sel_${t}${n}(m${n} m, ${t}${n} a, ${t}${n} b)`,
      `return (${t}${n})${native};`,
      `return (${t}${n})((m & (m${n})a) | (~m & (m${n})b));`,
    ),
  );
}

/**
 * Minimum and maximum of floats: NaN if either is, and -0 below +0. x86's instructions give the second operand where
 * either is NaN or both are zeros, so both orders together tell. With a constant c that is not NaN one is enough:
 * `below(c, x)` is `c < x ? c : x`, `above(c, x)` is `c > x ? c : x`.
 */
function extremes(n: number): string[] {
  const [mm, reg] = x86(n);
  const pair = (name: "min" | "max") =>
    `f${n} p = (f${n})${mm}_${name}_ps((${reg})a, (${reg})b), q = (f${n})${mm}_${name}_ps((${reg})b, (${reg})a);`;
  const one = (name: string, sign: string, op: string): string[] =>
    guarded(
      n,
      `INLINE f${n} ${name}_f${n}(f${n} c, f${n} x)`,
      `return (f${n})${mm}_${op}_ps((${reg})c, (${reg})x);`,
      `return sel_f${n}(c ${sign} x, c, x);`,
    );
  const other = (sign: string, zero: string) =>
    `m${n} nan = (a != a) | (b != b); f${n} r = sel_f${n}(a ${sign} b, a, sel_f${n}(b ${sign} a, b, (f${n})((i${n})a ${zero} (i${n})b))); return sel_f${n}(nan, a + b, r);`;
  const neon = (name: string) => `return (f4)v${name}q_f32((float32x4_t)a, (float32x4_t)b);`;
  return [
    ...one("below", "<", "min"),
    ...one("above", ">", "max"),
    ...guarded(
      n,
      `INLINE f${n} min_f${n}(f${n} a, f${n} b)`,
      `${pair("min")} return (f${n})((i${n})p | (i${n})q);`,
      other("<", "|"),
      neon("min"),
    ),
    // The difference of the bits is 0, or -0 where the zeros' signs differ.
    ...guarded(
      n,
      `INLINE f${n} max_f${n}(f${n} a, f${n} b)`,
      `${pair("max")} return (f${n})((i${n})p | (i${n})q) - (f${n})((i${n})p ^ (i${n})q);`,
      other(">", "&"),
      neon("max"),
    ),
  ];
}

function vectors(n: number, fma: boolean): string {
  const [mm, reg] = x86(n);
  const round = (mode: string) =>
    n === 16
      ? `_mm512_roundscale_ps((__m512)x, ${mode})`
      : `${mm}_round_ps((${n === 4 ? "__m128" : "__m256"})x, ${mode})`;
  const lanewise = (name: string, t: string) =>
    `INLINE ${t}${n} ${name}_${t}${n}(${t}${n} a, ${t}${n} b) { ${t}${n} r; for (int i = 0; i < ${n}; i++) r[i] = ${name}_${t}1(a[i], b[i]); return r; }`;
  const ones = (x: string) => Array.from({ length: n }, () => x).join(", ");
  return [
    ...["f", "i", "u"].map((t) => `INLINE ${t}${n} splat_${t}${n}(${t}1 x) { return (${t}${n}){${ones("x")}}; }`),
    ...selections(n),
    ...extremes(n),
    ...["i", "u"].flatMap((t) => [
      `INLINE ${t}${n} min_${t}${n}(${t}${n} a, ${t}${n} b) { return sel_${t}${n}((m${n})(a < b), a, b); }`,
      `INLINE ${t}${n} max_${t}${n}(${t}${n} a, ${t}${n} b) { return sel_${t}${n}((m${n})(a > b), a, b); }`,
      lanewise("div", t),
      lanewise("rem", t),
      lanewise("mulhi", t),
    ]),
    `INLINE i${n} shl_i${n}(i${n} a, i${n} b) { return (i${n})((u${n})a << (u${n})(b & 31)); }`,
    `INLINE u${n} shl_u${n}(u${n} a, u${n} b) { return a << (b & 31u); }`,
    `INLINE i${n} shr_i${n}(i${n} a, i${n} b) { return a >> (b & 31); }`,
    `INLINE u${n} shr_u${n}(u${n} a, u${n} b) { return a >> (b & 31u); }`,
    `INLINE f${n} abs_f${n}(f${n} x) { return (f${n})((i${n})x & 0x7fffffff); }`,
    `INLINE i${n} abs_i${n}(i${n} x) { return sel_i${n}(x < 0, -x, x); }`,
    ...["f", "i", "u"].flatMap((t) =>
      (["low", "high"] as const).map((half) => {
        const first = half === "low" ? 0 : n / 2;
        const order = Array.from({ length: n }, (_, i) => first + (i >> 1) + (i % 2) * n).join(", ");
        return `INLINE ${t}${n} zip_${half}_${t}${n}(${t}${n} a, ${t}${n} b) { return SHUFFLE(i${n}, a, b, ${order}); }`;
      }),
    ),
    ...(n > 4 ? (["lower", "upper"] as const) : []).flatMap((half) =>
      ["f", "i", "u", "m"].map((t) => {
        const from = half === "lower" ? 0 : n / 2;
        const take =
          n === 16
            ? `_mm512_extracti64x4_epi64((__m512i)x, ${half === "lower" ? 0 : 1})`
            : `_mm256_extractf128_si256((__m256i)x, ${half === "lower" ? 0 : 1})`;
        return [
          `INLINE ${t}${n / 2} ${half}_${t}${n / 2}(${t}${n} x) {`,
          `#if defined(${n === 16 ? "__AVX512F__" : "__AVX__"})`,
          `  return (${t}${n / 2})${take};`,
          "#else",
          `  ${t}${n / 2} r; for (int i = 0; i < ${n / 2}; i++) r[i] = x[i + ${from}]; return r;`,
          "#endif",
          "}",
        ].join("\n");
      }),
    ),
    native("sqrt", n, `${mm}_sqrt_ps((${reg})x)`, "vsqrtq_f32((float32x4_t)x)"),
    native("floor", n, round("_MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC"), "vrndmq_f32((float32x4_t)x)"),
    native("ceil", n, round("_MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC"), "vrndpq_f32((float32x4_t)x)"),
    native("trunc", n, round("_MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC"), "vrndq_f32((float32x4_t)x)"),
    native("round", n, round("_MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC"), "vrndnq_f32((float32x4_t)x)"),
    ...guarded(
      n,
      `INLINE i${n} f2i_${n}(f${n} x)`,
      // The instruction gives INT32_MIN for NaN and whatever is out of range.
      `return ((i${n})${mm}_cvttps_epi32((${reg})x) & (x == x)) ^ (x >= 2147483648.0f);`,
      `f${n} y = sel_f${n}(x == x, x, splat_f${n}(0)); y = sel_f${n}(y < -2147483648.0f, splat_f${n}(-2147483648.0f), y); m${n} big = y >= 2147483648.0f; i${n} r = __builtin_convertvector(sel_f${n}(big, splat_f${n}(0), y), i${n}); return sel_i${n}(big, splat_i${n}(INT32_MAX), r);`,
    ),
    storeBytes(n),
    `INLINE u${n} f2u_${n}(f${n} x) { u${n} r; for (int i = 0; i < ${n}; i++) r[i] = f2u_1(x[i]); return r; }`,
    [
      `INLINE m1 any_${n}(m${n} m) {`,
      ...(n === 16
        ? ["#if defined(__AVX512F__)", "  return _mm512_test_epi32_mask((__m512i)m, (__m512i)m) != 0;"]
        : []),
      ...(n === 8 ? ["#if defined(__AVX__)", "  return !_mm256_testz_si256((__m256i)m, (__m256i)m);"] : []),
      ...(n === 4 ? ["#if defined(__SSE4_1__)", "  return !_mm_testz_si128((__m128i)m, (__m128i)m);"] : []),
      "#else",
      `  i1 r = 0; for (int i = 0; i < ${n}; i++) r |= m[i]; return r != 0;`,
      "#endif",
      "}",
    ].join("\n"),
    fma
      ? [
          `INLINE f${n} fma_${n}(f${n} a, f${n} b, f${n} c) {`,
          `#if defined(${n === 16 ? "__AVX512F__" : "__FMA__"})`,
          `  return (f${n})${mm}_fmadd_ps((${reg})a, (${reg})b, (${reg})c);`,
          ...(n === 4
            ? ["#elif defined(__aarch64__)", "  return (f4)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);"]
            : []),
          "#else",
          `  f${n} r; for (int i = 0; i < ${n}; i++) r[i] = __builtin_fmaf(a[i], b[i], c[i]); return r;`,
          "#endif",
          "}",
        ].join("\n")
      : `INLINE f${n} fma_${n}(f${n} a, f${n} b, f${n} c) { return a * b + c; }`,
  ].join("\n");
}

/** Whole lines past the caches; those across two lines as usual. The fence makes them visible before the kernel counts as done. */
const streams = [
  "#if defined(__AVX512F__)",
  ...["f", "i", "u"].map(
    (t) =>
      `INLINE void stream_${t}16(void *p, ${t}16 x) { if ((uintptr_t)p % 64) *(${t}16u *)p = x; else _mm512_stream_si512(p, (__m512i)x); }`,
  ),
  "#define STREAM_END _mm_sfence()",
  "#else",
  ...["f", "i", "u"].map((t) => `INLINE void stream_${t}16(void *p, ${t}16 x) { *(${t}16u *)p = x; }`),
  "#define STREAM_END",
  "#endif",
].join("\n");

/**
 * The matrix unit of x86 (AMX). Eight registers of 16 rows of 64 bytes, used by number. They are assembly rather than
 * intrinsics because those of GCC do not say that they read and write memory.
 */
const matrixUnit = `
#if defined(__AMX_TILE__) && defined(__AMX_BF16__)
typedef struct { uint8_t palette, start, reserved[14]; uint16_t columns[16]; uint8_t rows[16]; } tile_shapes;
static const tile_shapes all_tiles __attribute__((aligned(64))) = { 1, 0, {0}, {64, 64, 64, 64, 64, 64, 64, 64}, {16, 16, 16, 16, 16, 16, 16, 16} };
#define TILES_BEGIN __asm__ volatile("ldtilecfg %0" :: "m"(all_tiles) : "memory")
#define TILES_END __asm__ volatile("tilerelease" ::: "memory")
#define TILE_ZERO(t) __asm__ volatile("tilezero %%tmm" #t ::: "memory")
#define TILE_LOAD(t, p, pitch) __asm__ volatile("tileloadd (%0,%1,1), %%tmm" #t :: "r"(p), "r"((int64_t)(pitch)) : "memory")
#define TILE_STORE(t, p, pitch) __asm__ volatile("tilestored %%tmm" #t ", (%0,%1,1)" :: "r"(p), "r"((int64_t)(pitch)) : "memory")
#define TILE_DOT(c, a, b) __asm__ volatile("tdpbf16ps %%tmm" #b ", %%tmm" #a ", %%tmm" #c ::: "memory")
#endif`;

const halves = `
INLINE f1 load_f16(uint16_t h) {
  u1 sign = (u1)(h & 0x8000) << 16, e = (h >> 10) & 31, m = h & 1023;
  if (e == 31) return bits_f1((i1)(sign | 0x7f800000u | (m << 13)));
  if (e != 0) return bits_f1((i1)(sign | ((e + 112) << 23) | (m << 13)));
  f1 r = (f1)m * 5.9604644775390625e-8f;
  return sign ? -r : r;
}
INLINE uint16_t store_f16(f1 x) {
  u1 b = (u1)bits_i1(x), sign = (b >> 16) & 0x8000, a = b & 0x7fffffff;
  if (a > 0x7f800000u) return (uint16_t)(sign | 0x7e00);
  if (a >= 0x477ff000u) return (uint16_t)(sign | 0x7c00);
  if (a < 0x38800000u) { f1 r = bits_f1((i1)a) + 0.5f; return (uint16_t)(sign | ((u1)bits_i1(r) - 0x3f000000u)); }
  u1 odd = (a >> 13) & 1;
  return (uint16_t)(sign | ((a - 0x38000000u + 0xfff + odd) >> 13));
}
INLINE f1 load_bf16(uint16_t h) { return bits_f1((i1)((u1)h << 16)); }
INLINE uint16_t store_bf16(f1 x) {
  u1 b = (u1)bits_i1(x);
  if ((b & 0x7fffffff) > 0x7f800000u) return (uint16_t)((b >> 16) | 0x40);
  return (uint16_t)((b + 0x7fff + ((b >> 16) & 1)) >> 16);
}`;

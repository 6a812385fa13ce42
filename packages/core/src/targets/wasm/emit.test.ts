/** Kernels as WebAssembly give the interpreter's bits: statements, types, lanes, memory. */
import { describe, expect, it } from "vitest";
import { nativeDifference, nativeMissing } from "../../../../layerwise/src/native/testing.ts";
import { affine, dynamic, KernelBuilder, scaled } from "../../compiler/builder.ts";
import type {
  Affine,
  BinaryOp,
  CompareOp,
  Kernel,
  LoopVar,
  Operand,
  StorageType,
  UnaryOp,
  ValueType,
} from "../../compiler/loopir.ts";
import { bitsOf, compared, difference, runInterpreter } from "../test-kernels.ts";
import { emitKernel } from "./emit.ts";

const lanesTried = [1, 4, 8, 16];
const cost = { flops: 1, bytes: 1 };

const floats = [
  0,
  -0,
  1,
  -1,
  0.5,
  -0.5,
  1.5,
  2.5,
  -2.5,
  -3.5,
  1e-45,
  -1e-45,
  1.1e-38,
  1.17549435e-38,
  3.4028235e38,
  -3.4028235e38,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  Number.NEGATIVE_INFINITY,
  2147483648,
  -2147483648,
  2147483520,
  4294967296,
  4294967040,
  3e9,
  -3e9,
  8388607.5,
  8388609,
  -8388607.5,
  0.49999997,
  1 / 3,
  -7.25,
];
const integers = [
  0, 1, -1, 2, -2, 3, -3, 7, -7, 31, 32, 33, 63, 64, -31, -32, 255, 256, 65535, 65536, 0x7fffffff, -0x80000000,
  0x7ffffffe, -0x7fffffff, 123456789, -987654321, 0x55555555, 0x0f0f0f0f, 1000003, -1000003, 10, 100,
];

/** Every pair of the values, and as third operand the values in another order. */
function grid(type: "f32" | "i32" | "u32"): { a: number[]; b: number[]; c: number[]; size: number } {
  const values = type === "f32" ? floats : integers;
  const a: number[] = [];
  const b: number[] = [];
  const c: number[] = [];
  for (const [i, x] of values.entries())
    for (const [j, y] of values.entries()) {
      a.push(x);
      b.push(y);
      c.push(values[(i * 7 + j * 3 + 1) % values.length]);
    }
  return { a, b, c, size: a.length };
}

function asStored(k: KernelBuilder, x: Operand): Operand {
  return x.type === "mask" ? k.select(x, k.i32(1, x.lanes), k.i32(0, x.lanes)) : x;
}

/** out[i] = f(a[i], b[i], c[i]) with values of `lanes`, over the grid of special values. */
function elementwise(
  type: "f32" | "i32" | "u32",
  lanes: number,
  f: (k: KernelBuilder, a: Operand, b: Operand, c: Operand) => Operand,
): { kernel: Kernel; contents: Record<string, number[]> } {
  const { a, b, c, size } = grid(type);
  const k = new KernelBuilder("elementwise");
  const [inA, inB, inC] = ["a", "b", "c"].map((name) => k.buffer(name, type, size, "read"));
  // The result's type is known only after f has run.
  const probe = new KernelBuilder("probe");
  const result = f(probe, probe.const(type, 1, lanes), probe.const(type, 1, lanes), probe.const(type, 1, lanes));
  const resultType = result.type === "mask" ? "i32" : result.type;
  const out = k.buffer("out", resultType, size, "write");
  const task = k.task("t", 4);
  k.loop("i", size / 4 / lanes, (i) => {
    const at = k.index({ constant: 0, terms: [...scaled(task, size / 4).terms, ...scaled(i, lanes).terms] });
    const load = (buffer: typeof inA) => k.load(buffer, { constant: 0, terms: [], dynamic: at }, lanes);
    const y = asStored(k, f(k, load(inA), load(inB), load(inC)));
    k.store(out, { constant: 0, terms: [], dynamic: at }, k.splat(y, lanes));
  });
  return { kernel: k.finish(cost), contents: { a, b, c } };
}

const unaries: Record<"f32" | "i32" | "u32", UnaryOp[]> = {
  f32: ["neg", "abs", "sqrt", "floor", "ceil", "trunc", "round"],
  i32: ["neg", "abs", "not"],
  u32: ["not"],
};
const binaries: Record<"f32" | "i32" | "u32", BinaryOp[]> = {
  f32: ["add", "sub", "mul", "div", "min", "max"],
  i32: ["add", "sub", "mul", "div", "rem", "min", "max", "and", "or", "xor", "shl", "shr", "mulhi"],
  u32: ["add", "sub", "mul", "div", "rem", "min", "max", "and", "or", "xor", "shl", "shr", "mulhi"],
};
const comparisons: CompareOp[] = ["eq", "ne", "lt", "le", "gt", "ge"];

describe.each(lanesTried)("operations on %d lanes", (lanes) => {
  for (const type of ["f32", "i32", "u32"] as const) {
    const agree = (f: Parameters<typeof elementwise>[2]) => {
      const { kernel, contents } = elementwise(type, lanes, f);
      expect(difference(kernel, contents)).toBeNull();
    };
    it.each(unaries[type])(`${type} %s`, (op) => agree((k, a) => k.unary(op, a)));
    it.each(binaries[type])(`${type} %s`, (op) => agree((k, a, b) => k.binary(op, a, b)));
    it.each(binaries[type])(`${type} %s with a constant on either side`, (op) => {
      for (const value of type === "f32" ? [0, -0, 1.5, Number.NaN, Number.POSITIVE_INFINITY] : [0, 1, 3, 8, 33]) {
        agree((k, a) => k.binary(op, a, k.const(type, value, a.lanes)));
        agree((k, a) => k.binary(op, k.const(type, value, a.lanes), a));
      }
    });
    it.each(comparisons)(`${type} %s`, (op) => agree((k, a, b) => k.compare(op, a, b)));
    it(`${type} select, and masks`, () => {
      agree((k, a, b, c) => k.select(k.compare("lt", a, b), c, a));
      for (const op of ["and", "or", "xor"] as const)
        agree((k, a, b, c) =>
          k.select(k.binary(op, k.compare("lt", a, b), k.unary("not", k.compare("eq", b, c))), b, c),
        );
    });
    it.each((["f32", "i32", "u32"] as ValueType[]).filter((t) => t !== type))(`${type} to %s`, (to) => {
      agree((k, a) => k.convert(a, to));
      agree((k, a) => k.bitcast(a, to));
    });
    it(`${type} splat, extract, broadcastLane, any, iota`, () => {
      for (const lane of [0, lanes - 1, lanes >> 1]) {
        agree((k, a) => k.splat(k.extract(a, lane), lanes));
        agree((k, a) => k.broadcastLane(a, lane));
      }
      agree((k, a, b) => {
        const any = k.any(k.compare("gt", a, b));
        return k.splat(k.select(any, k.i32(3), k.i32(4)), lanes);
      });
      agree((k, a, b) => k.select(k.splat(k.any(k.compare("gt", a, b)), lanes), a, b));
      agree((k, a) => k.add(k.iota(lanes), k.splat(k.i32(5), a.lanes)));
    });
    if (lanes >= 8)
      it(`${type} half`, () => {
        for (const half of [0, 1] as const)
          for (const lane of [0, lanes / 2 - 1]) {
            agree((k, a) => k.splat(k.extract(k.half(a, half), lane), lanes));
            agree((k, a, b) => k.splat(k.extract(k.sub(k.half(a, half), k.half(b, 0)), lane), lanes));
          }
      });
    if (lanes > 1)
      it(`${type} zip, transpose`, () => {
        for (const half of [0, 1] as const) agree((k, a, b) => k.zip(a, b, half));
        for (const row of [0, 1, lanes - 1])
          agree((k, a, b) => k.transpose(Array.from({ length: lanes }, (_, i) => (i % 3 === 0 ? a : b)))[row]);
      });
  }
  it("fma, scalar and by expression", () => {
    const { kernel, contents } = elementwise("f32", lanes, (k, a, b, c) => k.fma(a, b, c));
    expect(difference(kernel, contents)).toBeNull();
    const again = elementwise("f32", lanes, (k, a, b, c) => k.fma(k.fma(a, b, c), k.f32(1 / 3, lanes), k.sub(a, c)));
    expect(difference(again.kernel, again.contents)).toBeNull();
  });
  it("shifts all lanes by one scalar", () => {
    for (const op of ["shl", "shr"] as const) {
      const { kernel, contents } = elementwise("i32", lanes, (k, a, b) =>
        k.binary(op, a, k.splat(k.extract(b, lanes - 1), lanes)),
      );
      expect(difference(kernel, contents)).toBeNull();
    }
  });
});

const storages: StorageType[] = ["f32", "i32", "u32", "u8", "i8", "i16", "f16", "bf16", "bool"];

function samples(type: StorageType, size: number): number[] {
  const floating = type === "f32" || type === "f16" || type === "bf16";
  return Array.from({ length: size }, (_, i) => {
    if (type === "bool") return i % 3 === 0 ? 1 : 0;
    if (floating) return i < floats.length ? floats[i] : Math.fround(Math.sin(i * 12.9898) * 2 ** ((i % 40) - 30));
    return i < integers.length ? integers[i] : Math.imul(i, 2654435761) | 0;
  });
}

describe.each(storages)("memory of %s", (type) => {
  const size = 200;
  it.each(lanesTried)("loads and stores %d lanes, any count", (lanes) => {
    for (let count = 1; count <= lanes; count++) {
      const k = new KernelBuilder("copy");
      const a = k.buffer("a", type, size, "read");
      const out = k.buffer("out", type, size, "write");
      const t = k.task("t", 3);
      k.loop("i", 2, (i) => {
        const at = { constant: 5, terms: [...scaled(t, 2 * lanes).terms, ...scaled(i, lanes).terms] };
        k.store(out, at, k.load(a, at, lanes), count === lanes ? {} : { count });
      });
      // Up to the last element, past which a vector load may run.
      const last = size - count;
      k.store(out, last, k.load(a, last, lanes), { count });
      expect(difference(k.finish(cost), { a: samples(type, size) })).toBeNull();
    }
  });
  it.each(lanesTried)("strides, %d lanes", (lanes) => {
    for (const stride of [0, 1, 2, 3, 5, -1, -2])
      for (const count of new Set([1, Math.ceil(lanes / 2) + 1, lanes].filter((c) => c <= lanes))) {
        const k = new KernelBuilder("strided");
        const a = k.buffer("a", type, size, "read");
        const out = k.buffer("out", type, size, "readwrite");
        const back = k.buffer("back", type, size, "write");
        const first = stride < 0 ? size - 1 : 0;
        k.loop("i", 3, (i) => {
          const at = { constant: first, terms: scaled(i, stride < 0 ? -lanes : lanes).terms };
          const x = k.load(a, at, lanes, stride === 1 ? {} : { stride, count });
          k.store(out, scaled(i, lanes), x, stride === 0 ? {} : { count });
          if (stride !== 0) k.store(back, at, x, { stride, count });
        });
        // The very edge: nothing beyond `count` may be touched.
        if (stride > 1) {
          const edge = size - 1 - (count - 1) * stride;
          k.store(out, 100, k.load(a, edge, lanes, { stride, count }), { count });
        }
        expect(difference(k.finish(cost), { a: samples(type, size) })).toBeNull();
      }
  });
  it.each(lanesTried)("gathers %d lanes", (lanes) => {
    const k = new KernelBuilder("gather");
    const a = k.buffer("a", type, size, "read");
    const indices = k.buffer("indices", "i32", 48, "read");
    const out = k.buffer("out", type, 48, "write");
    const t = k.task("t", 3);
    k.loop("i", 16 / lanes, (i) => {
      const at = { constant: 0, terms: [...scaled(t, 16).terms, ...scaled(i, lanes).terms] };
      k.store(out, at, k.gather(a, { constant: 7, terms: scaled(t, 10).terms }, k.load(indices, at, lanes)));
    });
    const where = Array.from({ length: 48 }, (_, i) => ((i * 61) % 180) - 7);
    expect(difference(k.finish(cost), { a: samples(type, size), indices: where })).toBeNull();
  });
});

describe("half precision", () => {
  const every = (type: "f16" | "bf16", lanes: number, direction: "widen" | "narrow", floats32: number[]) => {
    const size = floats32.length;
    const k = new KernelBuilder(direction);
    const a = k.buffer("a", direction === "widen" ? type : "f32", size, "read");
    const out = k.buffer("out", direction === "widen" ? "f32" : type, size, "write");
    k.loop("i", size / lanes, (i) => k.store(out, scaled(i, lanes), k.load(a, scaled(i, lanes), lanes)));
    return { kernel: k.finish(cost), contents: { a: floats32 } };
  };
  const view = new DataView(new ArrayBuffer(4));
  const fromBits = (bits: number): number => {
    view.setUint32(0, bits);
    return view.getFloat32(0);
  };
  it.each(["f16", "bf16"] as const)("widens every %s", (type) => {
    // Through i16 memory all bit patterns can be written; the kernel reads them as halves.
    for (const lanes of [1, 4]) {
      const k = new KernelBuilder("widen");
      const size = 65536;
      const bits = k.buffer("bits", "i16", size, "read");
      const half = k.buffer("half", type, size, "readwrite");
      const out = k.buffer("out", "f32", size, "write");
      const t = k.task("t", size / 64);
      k.loop("i", 64 / lanes, (i) => {
        const at = { constant: 0, terms: [...scaled(t, 64).terms, ...scaled(i, lanes).terms] };
        // Shifted up, the bits of a bfloat16 are an f32, which narrows to them again.
        const wide = k.bitcast(k.binary("shl", k.load(bits, at, lanes), k.i32(16, lanes)), "f32");
        k.store(half, at, wide);
        k.store(out, at, k.load(half, at, lanes));
      });
      const kernel = k.finish(cost);
      expect(difference(kernel, { bits: Array.from({ length: size }, (_, i) => i) })).toBeNull();
    }
  });
  it.each(["f16", "bf16"] as const)("rounds to the nearest %s, ties to even", (type) => {
    const values: number[] = [];
    // Around every representable value's neighbourhood: the value, the half-way points and their neighbours.
    for (let h = 0; h < 0x7c10; h += 13) {
      const exponent = h >> 10;
      const fraction = h & 1023;
      const value = exponent === 0 ? fraction * 2 ** -24 : (1024 + fraction) * 2 ** (exponent - 25);
      const step = 2 ** (Math.max(1, exponent) - 25);
      for (const x of [value, value + step / 2, value + step / 2 + step / 512, value + step / 2 - step / 512])
        values.push(x, -x);
    }
    for (let i = 0; i < 4000; i++) values.push(fromBits(Math.imul(i + 1, 2654435761) >>> 0));
    while (values.length % 16 !== 0) values.push(65519.99, 65520, 1e30);
    for (const lanes of [1, 4, 16]) {
      const { kernel, contents } = every(type, lanes, "narrow", values.slice(0, values.length - (values.length % 16)));
      expect(difference(kernel, contents)).toBeNull();
    }
    const { kernel, contents } = every("f16", 4, "narrow", [
      1,
      65504,
      65519.996,
      65520,
      2 ** -24,
      2 ** -25,
      3 * 2 ** -26,
      1.00048828125,
    ]);
    const out = kernel.buffers[1];
    expect(bitsOf(runInterpreter(kernel, contents), kernel, out)).toEqual([
      0x3c00, 0x7bff, 0x7bff, 0x7c00, 1, 0, 1, 0x3c00,
    ]);
  });
});

describe("control and addresses", () => {
  const agree = (kernel: Kernel, contents: Record<string, ArrayLike<number>>, ranges?: [number, number][]) =>
    expect(difference(kernel, contents, ranges ? { ranges } : {})).toBeNull();

  it("decodes tasks of several grid variables from any begin to any end", () => {
    const [p, q, r] = [3, 5, 2];
    const k = new KernelBuilder("grid");
    const a = k.buffer("a", "f32", p * q * r * 4, "read");
    const out = k.buffer("out", "f32", p * q * r * 4, "write");
    const [x, y, z] = [k.task("x", p), k.task("y", q), k.task("z", r)];
    // Transposed: the last variable runs fastest in the task number, not in memory.
    const from = affine(scaled(z, q * p * 4), scaled(y, p * 4), scaled(x, 4));
    const to = affine(scaled(x, q * r * 4), scaled(y, r * 4), scaled(z, 4));
    const number = k.convert(k.index(affine(scaled(x, 100), scaled(y, 10), z)), "f32");
    k.store(out, to, k.add(k.load(a, from, 4), k.splat(number, 4)));
    const kernel = k.finish(cost);
    const contents = { a: samples("f32", p * q * r * 4) };
    agree(kernel, contents);
    agree(kernel, contents, [
      [7, 19],
      [0, 7],
      [19, 30],
      [5, 5],
    ]);
    agree(kernel, contents, [[11, 12]]);
    agree(kernel, contents, [[30, 30]]);
  });

  it("runs a kernel without tasks or of one task once", () => {
    const k = new KernelBuilder("single");
    const out = k.buffer("out", "f32", 4, "write");
    k.store(out, 0, k.f32(2.5, 4));
    agree(k.finish(cost), {});
  });

  it("multiplies matrices in nested, unrolled loops", () => {
    const [m, n, depth] = [6, 8, 12];
    for (const unroll of [1, 2, 3, 4, 12, 5]) {
      const k = new KernelBuilder("matmul");
      const a = k.buffer("a", "f32", m * depth, "read");
      const b = k.buffer("b", "f32", depth * n, "read");
      const out = k.buffer("out", "f32", m * n, "write");
      k.loop("i", m / 2, (i) =>
        k.loop("j", n / 4, (j) => {
          const sums = [0, 1].map(() => k.var(k.f32(0, 4)));
          k.loop(
            "k",
            depth,
            (d) => {
              const right = k.load(b, affine(scaled(d, n), scaled(j, 4)), 4);
              sums.forEach((sum, row) => {
                const left = k.load(a, affine(scaled(i, 2 * depth), row * depth, d), 4, { stride: 0 });
                k.assign(sum, k.fma(left, right, sum));
              });
            },
            unroll,
          );
          sums.forEach((sum, row) => {
            k.store(out, affine(scaled(i, 2 * n), row * n, scaled(j, 4)), sum);
          });
        }),
      );
      agree(k.finish(cost), { a: samples("f32", m * depth), b: samples("f32", depth * n) });
    }
  });

  it("walks downwards, and below the first element where a condition guards it", () => {
    for (const unroll of [1, 4]) {
      const size = 64;
      const k = new KernelBuilder("backwards");
      const a = k.buffer("a", "f32", size, "read");
      const out = k.buffer("out", "f32", size, "write");
      const t = k.task("t", 2);
      k.loop(
        "i",
        8,
        (i) => {
          const at = affine(size - 4, scaled(t, -32), scaled(i, -4));
          const around = [-1, 0, 1].map((d) => {
            const sum = k.var(k.f32(0, 4));
            const first = k.index(affine(at, d));
            const inside = k.binary("and", k.compare("ge", first, k.i32(0)), k.compare("le", first, k.i32(size - 4)));
            k.if(inside, () => k.assign(sum, k.load(a, affine(at, d), 4)));
            return sum;
          });
          // Unguarded neighbours share one pointer.
          const own = k.sub(k.load(a, at, 4), k.splat(k.load(a, affine(at, 3), 1), 4));
          k.store(out, affine(scaled(t, 32), scaled(i, 4)), k.add(k.add(around[0], around[1]), k.mul(around[2], own)));
        },
        unroll,
      );
      agree(k.finish(cost), { a: Array.from({ length: size }, (_, i) => i * 1.25) });
    }
  });

  it("adds negative constants to dynamic indices, in loops and unrolled", () => {
    const k = new KernelBuilder("dynamic");
    const a = k.buffer("a", "f32", 100, "read");
    const rows = k.buffer("rows", "i32", 5, "read");
    const out = k.buffer("out", "f32", 5 * 16, "write");
    const t = k.task("t", 5);
    const row = k.binary("mul", k.load(rows, t), k.i32(16));
    k.loop(
      "j",
      4,
      (j) => {
        const x = k.load(a, affine(dynamic(row), scaled(j, 4), -16), 4);
        k.store(out, affine(scaled(t, 16), scaled(j, 4)), x);
        const at = k.index(affine(dynamic(row), scaled(j, 4), -15));
        k.if(k.compare("eq", k.binary("and", at, k.i32(4)), k.i32(0)), () =>
          k.store(out, affine(scaled(t, 16), scaled(j, 4)), k.splat(k.convert(at, "f32"), 4), { count: 3 }),
        );
      },
      2,
    );
    agree(k.finish(cost), { a: samples("f32", 100), rows: [1, 5, 2, 6, 3] });
  });

  it("keeps scratch per task and orders loads and stores", () => {
    const k = new KernelBuilder("scratch");
    const a = k.buffer("a", "u8", 64, "read");
    const first = k.buffer("first", "f32", 19, "scratch");
    const out = k.buffer("out", "f32", 64, "readwrite");
    const second = k.buffer("second", "i16", 16, "scratch");
    const t = k.task("t", 4);
    k.loop("i", 4, (i) => {
      const x = k.load(a, affine(scaled(t, 16), scaled(i, 4)), 4);
      k.store(first, scaled(i, 4), k.convert(x, "f32"));
      k.store(second, scaled(i, 4), k.mul(x, k.i32(-3, 4)));
    });
    k.loop("i", 16, (i) => {
      // Reversed through scratch, and read again after it was written.
      const x = k.load(first, affine(15, scaled(i, -1)));
      k.store(out, affine(scaled(t, 16), i), k.add(x, k.convert(k.load(second, i), "f32")));
      k.store(out, affine(scaled(t, 16), i), k.add(k.load(out, affine(scaled(t, 16), i)), k.f32(0.5)));
    });
    agree(k.finish(cost), { a: Array.from({ length: 64 }, (_, i) => (i * 41) & 255) });
  });

  it("changes variables under conditions, with a value that was copied before", () => {
    const k = new KernelBuilder("branches");
    const a = k.buffer("a", "i32", 40, "read");
    const out = k.buffer("out", "i32", 40 * 3, "write");
    const total = k.var(k.i32(0));
    const bits = k.var(k.f32(0, 4));
    k.loop("i", 40, (i) => {
      const x = k.load(a, i);
      const before = k.convert(total, "u32");
      k.if(
        k.compare("gt", x, k.i32(0)),
        () => {
          k.assign(total, k.add(total, x));
          k.if(k.compare("gt", x, k.i32(100)), () => k.assign(total, k.i32(-1)));
        },
        () => k.assign(bits, k.add(bits, k.f32(1, 4))),
      );
      k.store(out, scaled(i, 3), total);
      k.store(out, affine(scaled(i, 3), 1), k.convert(before, "i32"));
      k.store(out, affine(scaled(i, 3), 2), k.convert(k.extract(bits, 2), "i32"));
    });
    agree(k.finish(cost), { a: samples("i32", 40) });
  });

  it("keeps more constants than there are registers, masks among them", () => {
    for (const lanes of [1, 4, 8]) {
      const k = new KernelBuilder("constants");
      const a = k.buffer("a", "f32", 64, "read");
      const out = k.buffer("out", "f32", 64, "write");
      k.loop("i", 64 / lanes, (i) => {
        let y: Operand = k.load(a, scaled(i, lanes), lanes);
        for (let c = 0; c < 40; c++) y = k.fma(y, k.f32(0.5, lanes), k.f32(c * 1.5 - 7, lanes));
        const low = k.compare("lt", y, k.f32(0, lanes));
        const bits = k.binary("xor", k.bitcast(y, "u32"), k.u32(0x80000000, lanes));
        const mask = k.binary("and", low, k.const("mask", i.extent > 0 ? 1 : 0, lanes));
        k.store(out, scaled(i, lanes), k.select(mask, k.bitcast(bits, "f32"), y));
      });
      agree(k.finish(cost), { a: samples("f32", 64) });
    }
  });

  it("drops what nobody uses, and hints cost nothing but a load", () => {
    const build = (waste: boolean): Kernel => {
      const k = new KernelBuilder("waste");
      const a = k.buffer("a", "f32", 64, "read");
      const out = k.buffer("out", "f32", 64, "write");
      k.loop("i", 16, (i) => {
        const x = k.load(a, scaled(i, 4), 4);
        if (waste) k.unary("sqrt", k.div(k.load(a, scaled(i, 4), 4), x));
        k.store(out, scaled(i, 4), x);
      });
      k.prefetch(a, 63);
      return k.finish(cost);
    };
    const options = { relaxedFma: false, strict: true };
    expect(emitKernel(build(true), options)).toEqual(emitKernel(build(false), options));
    agree(build(true), { a: samples("f32", 64) });
  });
});

/** Random loop nests over random affine accesses: every pointer, offset and register in combination. */
function randomKernel(seed: number): { kernel: Kernel; contents: Record<string, number[]> } {
  let state = seed * 2654435761;
  const random = (below: number): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state >>> 9) % below;
  };
  const pick = <T>(of: readonly T[]): T => of[random(of.length)];
  const k = new KernelBuilder(`random${seed}`);
  const size = 4096;
  const types = ["f32", "f32", "i32", "u8", "i16", "f16", "u32", "bf16"] as const;
  const inputs = [0, 1, 2].map((i) => k.buffer(`in${i}`, pick(types), size, "read"));
  const out = k.buffer("out", "f32", 2 * size, "readwrite");
  const scratch = k.buffer("scratch", "f32", 64, "scratch");
  const tasks = Array.from({ length: random(3) }, (_, i) => k.task(`t${i}`, 1 + random(3)));
  // Distinct places to store: every variable has its own radix.
  let radix = 16;
  const places: { variable: LoopVar; stride: number }[] = [];
  const enter = (variable: LoopVar): void => {
    places.push({ variable, stride: radix });
    radix *= variable.extent;
  };
  for (const t of tasks) enter(t);
  k.loop("clear", 16, (i) => k.store(scratch, scaled(i, 4), k.f32(0, 4)));
  const address = (room: number): Affine => {
    // Strides of both signs, kept inside the buffer by the constant.
    let low = 0;
    let high = 0;
    const terms: { variable: LoopVar; stride: number }[] = [];
    for (const { variable } of places) {
      if (variable.extent === 1 || random(3) === 0) continue;
      const stride = random(41) - 16;
      const reach = stride * (variable.extent - 1);
      if (high - low + Math.abs(reach) > size - room - 8) continue;
      if (stride === 0) continue;
      low += Math.min(0, reach);
      high += Math.max(0, reach);
      terms.push({ variable, stride });
    }
    return { constant: -low + random(size - room - (high - low)), terms };
  };
  const toFloat = (x: Operand): Operand => (x.type === "f32" ? x : k.convert(x, "f32"));
  const value = (lanes: number): Operand => {
    const stride = pick([1, 1, 1, 0, 2, 3]);
    const x = toFloat(k.load(pick(inputs), address(lanes * 3), lanes, stride === 1 ? {} : { stride }));
    const y = toFloat(k.load(pick(inputs), address(lanes), lanes));
    switch (random(6)) {
      case 0:
        return k.fma(x, k.f32(pick([0.5, -1, 2]), lanes), y);
      case 1:
        return k.min(k.max(x, k.f32(0, lanes)), y);
      case 2:
        return k.select(k.compare(pick(["lt", "ge"]), x, y), x, k.f32(1.5, lanes));
      case 3:
        return k.add(x, k.broadcastLane(y, random(lanes)));
      case 4:
        return k.mul(x, k.splat(k.convert(k.index(address(1)), "f32"), lanes));
      default:
        return k.sub(x, y);
    }
  };
  const block = (depth: number): void => {
    const lanes = pick([1, 4, 4, 8, 16]);
    const sum = k.var(k.f32(random(5), lanes));
    const statements = 1 + random(3);
    for (let s = 0; s < statements; s++) {
      const choice = random(depth < 3 ? 6 : 3);
      if (choice >= 3 && radix < 16 * 40) {
        const extent = 1 + random(4);
        const saved = { radix, places: places.length };
        k.loop(
          `v${depth}`,
          extent,
          (v) => {
            enter(v);
            k.assign(sum, k.add(sum, value(lanes)));
            block(depth + 1);
            places.length = saved.places;
          },
          pick([1, 2, 4]),
        );
      } else if (choice === 2) {
        k.if(
          k.compare("gt", k.index(address(1)), k.i32(random(size))),
          () => k.assign(sum, value(lanes)),
          random(2) ? () => k.assign(sum, k.mul(sum, k.f32(0.5, lanes))) : undefined,
        );
      } else k.assign(sum, k.add(sum, value(lanes)));
    }
    const count = lanes === 1 ? 1 : 1 + random(lanes);
    k.store(scratch, random(48), sum, { count });
    const at: Affine = {
      constant: 0,
      terms: places.filter((p) => p.variable.extent > 1),
    };
    k.store(out, at, k.add(sum, k.load(scratch, random(48), lanes)), { count });
  };
  block(0);
  const kernel = k.finish(cost);
  return { kernel, contents: Object.fromEntries(inputs.map((b) => [b.name, samples(b.type, size)])) };
}

describe("random kernels", () => {
  it.each(Array.from({ length: 6 }, (_, i) => i))("give equal bits, batch %d", (batch) => {
    for (let seed = batch * 40; seed < batch * 40 + 40; seed++) {
      const { kernel, contents } = randomKernel(seed);
      expect(difference(kernel, contents), `seed ${seed}`).toBeNull();
    }
  });
});

describe.skipIf(nativeMissing !== null)("native code gives the interpreter's bits", () => {
  // Compiling them all, once for each kind of vector, would take minutes; the op suite has the rest.
  it.each([
    { every: 5, strict: false },
    { every: 17, strict: true },
    { every: 19, strict: false, lanes: 4 },
    { every: 23, strict: true, lanes: 8 },
  ] as const)(
    "for the kernels above, %o",
    ({ every, ...options }) => {
      const some = compared.filter((_, i) => i % every === 0);
      expect(some.length).toBeGreaterThan(0);
      expect(nativeDifference(some, options)).toBeNull();
    },
    600_000,
  );
});

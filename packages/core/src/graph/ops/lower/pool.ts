/** Kernels of pooling: windows over [N, D, H, W, C], whole vectors of channels (of columns where there is one channel). */
import { affine, type Index, type KernelBuilder, scaled } from "../../../compiler/builder.ts";
import { type Buffer, type Local, type Operand, type StorageType, storageBytes } from "../../../compiler/loopir.ts";
import type { Lowered, LoweredStep } from "../../../compiler/lowered.ts";
import { copyStep, fillRow, LowerStep, nothing, only, overTasks, overVectors } from "./step.ts";

export interface PoolDim {
  readonly in: number;
  readonly out: number;
  readonly window: number;
  readonly stride: number;
  readonly padLow: number;
}

/** Always three spatial dimensions; missing ones have size 1. No window lies wholly in the padding. */
export interface PoolSpec {
  readonly batch: number;
  readonly channels: number;
  readonly dims: readonly [PoolDim, PoolDim, PoolDim];
}

/** Windows of at most this many elements are unrolled. */
const unrolledTaps = 16;

const outRows = (s: PoolSpec): number[] => [s.batch, s.dims[0].out, s.dims[1].out];
const inSize = (s: PoolSpec): number => s.batch * s.channels * s.dims[0].in * s.dims[1].in * s.dims[2].in;
const outSize = (s: PoolSpec): number => s.batch * s.channels * s.dims[0].out * s.dims[1].out * s.dims[2].out;
const taps = (s: PoolSpec): number => s.dims[0].window * s.dims[1].window * s.dims[2].window;
const padded = (d: PoolDim): boolean => d.padLow > 0 || (d.out - 1) * d.stride + d.window > d.in;
const overlaps = (d: PoolDim): boolean => d.out > 1 && d.stride < d.window;

/** One vector of windows: where they are and which dimensions may leave the input. */
interface Position {
  readonly n: Index;
  readonly o: readonly [Index, Index, Index];
  readonly channel: Index;
  readonly lanes: number;
  readonly count: number;
  /** Distance of neighbouring lanes in the input; in the output it is 1. */
  readonly inStride: number;
  readonly checked: readonly [boolean, boolean, boolean];
}

class Windows {
  readonly step: LowerStep;
  readonly b: KernelBuilder;
  readonly spec: PoolSpec;
  readonly native: number;
  constructor(name: string, spec: PoolSpec, native: number) {
    this.step = new LowerStep(name);
    this.b = this.step.b;
    this.spec = spec;
    this.native = native;
  }

  /** Calls `body` for all windows of the output row (n, d, h), interior and edge apart. */
  row(n: Index, d: Index, h: Index, body: (p: Position) => void, channels?: { first: Index; count: number }): void {
    const { b, spec } = this;
    const [dims0, dims1] = spec.dims;
    const edges = [
      [dims0, d],
      [dims1, h],
    ] as const;
    const conditions = edges
      .filter(([dim]) => padded(dim))
      .map(([dim, at]) => {
        const start = b.index(affine(scaled(at, dim.stride), -dim.padLow));
        return b.binary("and", b.compare("ge", start, b.i32(0)), b.compare("le", start, b.i32(dim.in - dim.window)));
      });
    const whole = () => this.columns(n, d, h, [false, false], body, channels);
    if (conditions.length === 0) whole();
    else {
      const inside = conditions.reduce((a, c) => b.binary("and", a, c));
      b.if(inside, whole, () => this.columns(n, d, h, [padded(dims0), padded(dims1)], body, channels));
    }
  }

  private columns(
    n: Index,
    d: Index,
    h: Index,
    checked: readonly [boolean, boolean],
    body: (p: Position) => void,
    part?: { first: Index; count: number },
  ): void {
    const { b, spec, native } = this;
    const dim = spec.dims[2];
    const segment = (from: number, to: number, edge: boolean): void => {
      const flags = [...checked, edge] as const;
      if (to <= from) return;
      if (spec.channels === 1 && !edge) {
        overVectors(b, to - from, native, (v, lanes, count) =>
          body({
            n,
            o: [d, h, affine(from, v)],
            channel: 0,
            lanes,
            count,
            inStride: dim.stride,
            checked: flags,
          }),
        );
        return;
      }
      b.loop("w", to - from, (w) => {
        const position = { n, o: [d, h, affine(from, w)] as const, inStride: 1, checked: flags };
        if (spec.channels === 1) body({ ...position, channel: 0, lanes: 1, count: 1 });
        else
          overVectors(b, part?.count ?? spec.channels, native, (v, lanes, count) =>
            body({ ...position, channel: affine(part?.first ?? 0, v), lanes, count }),
          );
      });
    };
    if (!padded(dim)) {
      segment(0, dim.out, false);
      return;
    }
    const low = Math.min(dim.out, Math.ceil(dim.padLow / dim.stride));
    const high = Math.min(dim.out, Math.floor((dim.in - dim.window + dim.padLow) / dim.stride) + 1);
    if (low >= high) segment(0, dim.out, true);
    else {
      segment(0, low, true);
      segment(low, high, false);
      segment(high, dim.out, true);
    }
  }

  /** Element of the input at tap k of the first lane's window. */
  inputAt(p: Position, k: readonly [Index, Index, Index]): Index {
    const { dims, channels } = this.spec;
    let stride = channels;
    let at: Index = affine(p.channel);
    for (let i = 2; i >= 0; i--) {
      const dim = dims[i];
      at = affine(at, scaled(affine(scaled(p.o[i], dim.stride), k[i], -dim.padLow), stride));
      stride *= dim.in;
    }
    return affine(at, scaled(p.n, stride));
  }
  outputAt(p: Position): Index {
    const { dims, channels } = this.spec;
    let stride = channels;
    let at: Index = affine(p.channel);
    for (let i = 2; i >= 0; i--) {
      at = affine(at, scaled(p.o[i], stride));
      stride *= dims[i].out;
    }
    return affine(at, scaled(p.n, stride));
  }

  /** Whether the taps of this window become straight code. */
  straight(p: Position): boolean {
    return taps(this.spec) <= unrolledTaps && !p.checked.includes(true);
  }

  /** The taps of a window that lie inside the input, row-major; `tap` is the number in the whole window. */
  eachTap(p: Position, body: (at: Index, tap: Index) => void): void {
    const { b } = this;
    const { dims } = this.spec;
    const unrolled = taps(this.spec) <= unrolledTaps;
    const walk = (k: Index[]): void => {
      const i = k.length;
      if (i === 3) {
        const [d, h, w] = k;
        const tap = affine(scaled(d, dims[1].window * dims[2].window), scaled(h, dims[2].window), w);
        body(this.inputAt(p, [d, h, w]), tap);
        return;
      }
      const dim = dims[i];
      const one = (at: Index): void => {
        if (!p.checked[i]) walk([...k, at]);
        else {
          const position = b.index(affine(scaled(p.o[i], dim.stride), at, -dim.padLow));
          b.if(b.compare("lt", b.convert(position, "u32"), b.u32(dim.in)), () => walk([...k, at]));
        }
      };
      if (unrolled) for (let at = 0; at < dim.window; at++) one(at);
      else b.loop(`k${i}`, dim.window, one);
    };
    walk([]);
  }

  /** Tap number and input element of the first tap inside the input. */
  firstTap(p: Position): { at: Index; tap: Operand } {
    const { b } = this;
    const { dims } = this.spec;
    if (!p.checked.includes(true)) return { at: this.inputAt(p, [0, 0, 0]), tap: b.i32(0, p.lanes) };
    // The dynamic part of the address is the distance from tap (0, 0, 0).
    let tap: Operand = b.i32(0);
    let offset: Operand = b.i32(0);
    let tapStride = 1;
    let stride = this.spec.channels;
    for (let i = 2; i >= 0; i--) {
      const dim = dims[i];
      if (p.checked[i]) {
        const start = b.index(affine(scaled(p.o[i], dim.stride), -dim.padLow));
        const skipped = b.max(b.neg(start), b.i32(0));
        tap = b.add(tap, b.mul(skipped, b.i32(tapStride)));
        offset = b.add(offset, b.mul(skipped, b.i32(stride)));
      }
      tapStride *= dim.window;
      stride *= dim.in;
    }
    const at = affine(this.inputAt(p, [0, 0, 0]), { constant: 0, terms: [], dynamic: offset });
    return { at, tap: b.splat(tap, p.lanes) };
  }

  /** Number of taps inside the input: a constant in the interior. */
  tapCount(p: Position): Operand {
    const { b } = this;
    let known = 1;
    let count: Operand | null = null;
    this.spec.dims.forEach((dim, i) => {
      if (!p.checked[i]) {
        known *= dim.window;
        return;
      }
      const start = b.index(affine(scaled(p.o[i], dim.stride), -dim.padLow));
      const end = b.min(b.add(start, b.i32(dim.window)), b.i32(dim.in));
      const inside = b.sub(end, b.max(start, b.i32(0)));
      count = count ? b.mul(count, inside) : inside;
    });
    if (!count) return b.f32(known, p.lanes);
    return b.splat(b.convert(b.mul(count, b.i32(known)), "f32"), p.lanes);
  }

  load(buffer: Buffer, at: Index, p: Position): Local {
    return this.b.load(buffer, at, p.lanes, this.access(p));
  }
  store(buffer: Buffer, at: Index, value: Operand, p: Position): void {
    this.b.store(buffer, at, value, this.access(p));
  }
  private access(p: Position): { stride?: number; count?: number } {
    return { ...(p.inStride === 1 || p.lanes === 1 ? {} : { stride: p.inStride }), ...only(p.count, p.lanes) };
  }

  /** A value that taps change: plain in straight code, a variable otherwise. */
  cell(p: Position, initial: Operand): { get: () => Operand; set: (x: Operand) => void } {
    if (this.straight(p)) {
      let now = initial;
      return {
        get: () => now,
        set: (x) => {
          now = x;
        },
      };
    }
    const local = this.b.var(initial);
    return { get: () => local, set: (x) => this.b.assign(local, x) };
  }

  /** Whether x replaces the maximum m found so far: it is larger, or the first NaN. */
  takes(x: Operand, m: Operand): Operand {
    const { b } = this;
    if (x.type !== "f32") return b.compare("gt", x, m);
    return b.binary("and", b.unary("not", b.compare("le", x, m)), b.compare("eq", m, m));
  }

  /** Hands `done` the first of the largest elements, or of the NaN, and the number of its tap. */
  findMaximum(x: Buffer, p: Position, done: (largest: Operand, tap: Operand) => void): void {
    if (this.straight(p)) this.straightMaximum(x, p, done);
    else {
      const { b } = this;
      const first = this.firstTap(p);
      const best = b.var(this.load(x, first.at, p));
      const index = b.var(first.tap);
      this.eachTap(p, (at, tap) => {
        const value = this.load(x, at, p);
        const take = this.takes(value, best);
        b.assign(best, b.select(take, value, best));
        b.assign(index, b.select(take, b.splat(b.index(tap), p.lanes), index));
      });
      done(best, index);
    }
  }

  /** Comparisons alone, unless the elements' sum is NaN: then there may be one among them. */
  private straightMaximum(x: Buffer, p: Position, done: (largest: Operand, tap: Operand) => void): void {
    const { b } = this;
    const values: Operand[] = [];
    this.eachTap(p, (at) => values.push(this.load(x, at, p)));
    const search = (takes: (x: Operand, m: Operand) => Operand): void => {
      let best = values[0];
      let index: Operand = b.i32(0, p.lanes);
      values.slice(1).forEach((value, i) => {
        const take = takes(value, best);
        best = b.select(take, value, best);
        index = b.select(take, b.i32(i + 1, p.lanes), index);
      });
      done(best, index);
    };
    const plain = () => search((value, best) => b.compare("gt", value, best));
    if (values[0].type !== "f32" || values.length === 1) plain();
    else {
      const sum = values.reduce((s, value) => b.add(s, value));
      b.if(b.any(b.compare("ne", sum, sum)), () => search((value, best) => this.takes(value, best)), plain);
    }
  }

  /** Calls `body` for the taps inside the input, with whether the place of each lane's window is this one. */
  eachPlace(place: Buffer, p: Position, body: (at: Index, here: Operand) => void): void {
    const { b } = this;
    const index = b.load(place, this.outputAt(p), p.lanes);
    this.eachTap(p, (at, tap) => body(at, b.compare("eq", index, b.splat(b.index(tap), p.lanes))));
  }
}

const bytesOf = (spec: PoolSpec, ins: readonly StorageType[], outs: readonly StorageType[]): number =>
  ins.reduce((sum, t) => sum + storageBytes[t], 0) * inSize(spec) +
  outs.reduce((sum, t) => sum + storageBytes[t], 0) * outSize(spec);

/** Runs `body` for all windows, tasks taking whole output rows; every output element is written once. */
function forward(w: Windows, bytes: number, body: (p: Position) => void): void {
  const rows = outRows(w.spec);
  overTasks(w.b, rows, bytes / (rows[0] * rows[1] * rows[2]), ([n, d, h]) => w.row(n, d, h, body));
}

/** Outputs: the largest elements unless nobody wants them, and their places in type `placeType` where somebody does. */
export function lowerMaxPool(
  spec: PoolSpec,
  type: StorageType,
  values: boolean,
  placeType: StorageType | null,
  native: number,
): Lowered {
  if (outSize(spec) === 0) return nothing;
  const w = new Windows("max_pool", spec, native);
  const { b } = w;
  const x = w.step.input(0, "x", inSize(spec), type);
  const y = values ? w.step.output(0, "y", outSize(spec), type) : null;
  const place = placeType && w.step.output(1, "place", outSize(spec), placeType);
  const bytes = bytesOf(spec, [type], [...(y ? [type] : []), ...(placeType ? [placeType] : [])]);
  forward(w, bytes, (p) =>
    w.findMaximum(x, p, (largest, tap) => {
      if (y) b.store(y, w.outputAt(p), largest, only(p.count, p.lanes));
      if (place) b.store(place, w.outputAt(p), tap, only(p.count, p.lanes));
    }),
  );
  return { steps: [w.step.finish({ flops: outSize(spec) * taps(spec), bytes })], temps: [] };
}

/** Inputs place and t; the output is t at the places. */
export function lowerMaxPoolSelect(spec: PoolSpec, placeType: StorageType, type: StorageType, native: number): Lowered {
  if (outSize(spec) === 0) return nothing;
  const w = new Windows("max_pool_select", spec, native);
  const { b } = w;
  const place = w.step.input(0, "place", outSize(spec), placeType);
  const t = w.step.input(1, "t", inSize(spec), type);
  const y = w.step.output(0, "y", outSize(spec), type);
  const bytes = bytesOf(spec, [type], [placeType, type]);
  forward(w, bytes, (p) => {
    const chosen = w.cell(p, b.f32(0, p.lanes));
    w.eachPlace(place, p, (at, here) => chosen.set(b.select(here, w.load(t, at, p), chosen.get())));
    b.store(y, w.outputAt(p), chosen.get(), only(p.count, p.lanes));
  });
  return { steps: [w.step.finish({ flops: 2 * outSize(spec) * taps(spec), bytes })], temps: [] };
}

export function lowerAvgPool(spec: PoolSpec, type: StorageType, native: number): Lowered {
  if (outSize(spec) === 0) return nothing;
  const w = new Windows("avg_pool", spec, native);
  const { b } = w;
  const x = w.step.input(0, "x", inSize(spec), type);
  const y = w.step.output(0, "y", outSize(spec), type);
  const bytes = bytesOf(spec, [type], [type]);
  forward(w, bytes, (p) => {
    const sum = w.cell(p, b.f32(0, p.lanes));
    let started = false;
    w.eachTap(p, (at) => {
      const value = w.load(x, at, p);
      sum.set(!started && w.straight(p) ? value : b.add(sum.get(), value));
      started = true;
    });
    b.store(y, w.outputAt(p), divided(w, sum.get(), p), only(p.count, p.lanes));
  });
  return { steps: [w.step.finish({ flops: outSize(spec) * taps(spec), bytes })], temps: [] };
}

/** x over the number of taps inside; a power of two is a multiplication. */
function divided(w: Windows, x: Operand, p: Position): Operand {
  const count = w.tapCount(p);
  if (count.kind === "const" && Number.isInteger(Math.log2(count.value))) {
    return w.b.mul(x, w.b.f32(1 / count.value, p.lanes));
  }
  return w.b.div(x, count);
}

/** Inputs place and dy; dy goes to the place in each window. */
export function lowerMaxPoolGrad(spec: PoolSpec, placeType: StorageType, dyType: StorageType, native: number): Lowered {
  const make = (w: Windows): Spread => {
    const place = w.step.input(0, "place", outSize(spec), placeType);
    const dy = w.step.input(1, "dy", outSize(spec), dyType);
    return (p, write) => {
      const { b } = w;
      const gradient = b.load(dy, w.outputAt(p), p.lanes);
      const zero = b.f32(0, p.lanes);
      w.eachPlace(place, p, (at, here) => write(at, b.select(here, gradient, zero)));
    };
  };
  return backward("max_pool_grad", spec, dyType, native, make, bytesOf(spec, [dyType], [placeType, dyType]));
}

/** Input dy; each window gives dy over its number of elements to all of them. */
export function lowerAvgPoolGrad(spec: PoolSpec, type: StorageType, native: number): Lowered {
  const make = (w: Windows): Spread => {
    const dy = w.step.input(0, "dy", outSize(spec), type);
    return (p, write) => {
      const share = divided(w, w.b.load(dy, w.outputAt(p), p.lanes), p);
      w.eachTap(p, (at) => write(at, share));
    };
  };
  return backward("avg_pool_grad", spec, type, native, make, bytesOf(spec, [type], [type]));
}

type Spread = (p: Position, write: (at: Index, value: Operand) => void) => void;

/**
 * Distributes gradients of windows over the input. Windows that do not overlap write each element once, and what no
 * window covers is set to 0. Overlapping windows are added up in row-major order, a task taking a whole image.
 */
function backward(
  name: string,
  spec: PoolSpec,
  type: StorageType,
  native: number,
  make: (w: Windows) => Spread,
  bytes: number,
): Lowered {
  const size = inSize(spec);
  if (size === 0) return nothing;
  const zero = (): LoweredStep => copyStep(`${name}_zero`, size, type, storageBytes[type], native, { value: 0 });
  if (outSize(spec) === 0) return { steps: [zero()], temps: [] };
  const w = new Windows(name, spec, native);
  const spread = make(w);
  const cost = { flops: 3 * outSize(spec) * taps(spec), bytes };
  if (spec.dims.some(overlaps)) {
    const dx = w.step.output(0, "dx", size, type, "readwrite");
    added(w, dx, spread, bytes);
    return { steps: [w.step.finish(cost)], temps: [] };
  }
  const dx = w.step.output(0, "dx", size, type);
  const once = (p: Position) => spread(p, (at, value) => w.store(dx, at, value, p));
  // Windows side by side from the first element on leave at most a margin at the end of each dimension.
  if (spec.dims.every((d) => d.padLow === 0 && d.window === Math.min(d.stride, d.in) && d.out * d.window <= d.in)) {
    const rows = outRows(spec);
    overTasks(w.b, rows, bytes / (rows[0] * rows[1] * rows[2]), ([n, d, h]) => {
      w.row(n, d, h, once);
      margins(w, dx, n, d, h);
    });
    return { steps: [w.step.finish(cost)], temps: [] };
  }
  forward(w, bytes, once);
  return { steps: [zero(), w.step.finish(cost)], temps: [] };
}

/** Zeros behind the windows of output row (n, d, h): the end of its rows; after the last row, rows; then planes. */
function margins(w: Windows, dx: Buffer, n: Index, d: Index, h: Index): void {
  const { b, native } = w;
  const { channels, dims } = w.spec;
  const [a, r, c] = dims;
  const rowSize = c.in * channels;
  const planeSize = r.in * rowSize;
  const plane = (kd: Index) => affine(scaled(n, a.in * planeSize), scaled(affine(scaled(d, a.window), kd), planeSize));
  const columns = c.in - c.out * c.window;
  if (columns > 0) {
    b.loop("kd", a.window, (kd) => {
      b.loop("kh", r.window, (kh) => {
        const row = affine(plane(kd), scaled(affine(scaled(h, r.window), kh), rowSize));
        fillRow(b, dx, affine(row, c.out * c.window * channels), columns * channels, 0, native);
      });
    });
  }
  const rows = r.in - r.out * r.window;
  const planes = a.in - a.out * a.window;
  if (rows === 0 && planes === 0) return;
  b.if(b.compare("eq", b.index(h), b.i32(r.out - 1)), () => {
    if (rows > 0) {
      b.loop("kd", a.window, (kd) =>
        fillRow(b, dx, affine(plane(kd), r.out * r.window * rowSize), rows * rowSize, 0, native),
      );
    }
    if (planes > 0) {
      b.if(b.compare("eq", b.index(d), b.i32(a.out - 1)), () =>
        fillRow(
          b,
          dx,
          affine(scaled(n, a.in * planeSize), a.out * a.window * planeSize),
          planes * planeSize,
          0,
          native,
        ),
      );
    }
  });
}

/** Overlapping windows: a task clears the channels it owns of one image, then adds window after window. */
function added(w: Windows, dx: Buffer, spread: Spread, bytes: number): void {
  const { b, spec, native } = w;
  const { batch, channels, dims } = spec;
  const image = dims[0].in * dims[1].in * dims[2].in;
  // Few images: channels are shared out too, by whole cache lines.
  const parts = batch < 16 && channels % 16 === 0 && channels > 16 ? channels / 16 : 1;
  const owned = channels / parts;
  overTasks(b, [batch, parts], bytes / (batch * parts), ([n, part]) => {
    const first = scaled(part, owned);
    const start = scaled(n, image * channels);
    if (parts === 1) fillRow(b, dx, start, image * channels, 0, native);
    else b.loop("pixel", image, (q) => fillRow(b, dx, affine(start, scaled(q, channels), first), owned, 0, native));
    b.loop("d", dims[0].out, (d) => {
      b.loop("h", dims[1].out, (h) => {
        w.row(n, d, h, (p) => spread(p, (at, value) => w.store(dx, at, b.add(w.load(dx, at, p), value), p)), {
          first,
          count: owned,
        });
      });
    });
  });
}

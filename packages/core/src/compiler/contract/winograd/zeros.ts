/**
 * Keeps zeros exact. A result all of whose inputs are zero is zero, and the derivative of relu depends on it: where a sparse
 * input (the background of a picture, what relu and dropout leave) meets a bias of zero, noise of 1e-8 would let gradients
 * through. The tiles of F(3×3) and F(4×4) mix neighbouring results, so such results are found and stored again.
 */
import { affine, type Index, type KernelBuilder, scaled } from "../../builder.ts";
import type { Buffer, Operand } from "../../loopir.ts";
import type { Portion } from "../pad.ts";
import type { Sink, Step } from "../step.ts";
import { type Geometry, overLanes } from "./tiles.ts";

/** Whether transforms may turn a structural zero into noise: only F(2×2) has the matrices that never do. */
export function losesZeros(g: Geometry): boolean {
  return g.m > 2;
}

/** Stores zero (through the sink's epilogue) at the results of a portion whose 3×3 inputs are zero in all channels. */
export function restoreZeros(step: Step, g: Geometry, p: Portion, sink: Sink, lanes: number): void {
  if (!losesZeros(g)) return;
  const { b } = step;
  const [outH, outW] = g.out;
  const rows = p.rows * g.m + 2;
  const columns = g.wide * g.m + 2;
  const pitch = columns + lanes;
  // 1 for every pixel of the input that is not zero, 0 for the others.
  const flags = step.scratch("nonzero", rows * pitch);
  b.loop("n", p.images, (n) => {
    b.loop("h", rows, (h) =>
      b.loop("w", columns, (w) =>
        flagPixel(
          b,
          p.buffer,
          affine(p.base, scaled(n, p.image), scaled(h, p.stride[1]), scaled(w, p.stride[2])),
          g.channels,
          lanes,
          (flag) => b.store(flags, affine(scaled(h, pitch), w), b.f32(flag)),
        ),
      ),
    );
    b.loop("h", p.rows * g.m, (h) => {
      const oh = affine(scaled(p.band, g.m), h);
      const around = (w: Index, width: number): Operand => {
        const near = [0, 1, 2].flatMap((i) => [0, 1, 2].map((j) => affine(scaled(affine(h, i), pitch), w, j)));
        return near.map((at): Operand => b.load(flags, at, width)).reduce((sum, x) => b.add(sum, x));
      };
      const clear = (w: Index): void =>
        b.if(b.compare("eq", around(w, 1), b.f32(0)), () => {
          const row = affine(scaled(affine(p.n, n), outH * outW), scaled(oh, outW), w);
          overLanes(b, lanes, g.filters, (first, width, valid) => sink.store(row, first, b.f32(0, width), valid));
        });
      const row = (): void =>
        overLanes(b, lanes, outW, (first, width, valid) =>
          b.if(b.any(b.compare("eq", around(first, width), b.f32(0, width))), () =>
            b.loop("w", valid, (w) => clear(affine(first, w))),
          ),
        );
      if (outH % g.m === 0) row();
      else b.if(b.compare("lt", b.index(oh), b.i32(outH)), row);
    });
  });
}

/** Tells `store` whether a pixel is nonzero (NaN is). Most pixels show it in their first channels. */
function flagPixel(
  b: KernelBuilder,
  x: Buffer,
  at: Index,
  channels: number,
  lanes: number,
  store: (flag: 0 | 1) => void,
): void {
  const nonzero = (first: Index, valid: number): Operand => {
    const different = b.compare("ne", b.load(x, affine(at, first), lanes), b.f32(0, lanes));
    if (valid === lanes) return b.any(different);
    return b.any(b.binary("and", different, b.compare("lt", b.iota(lanes), b.i32(valid, lanes))));
  };
  const vectors = Math.ceil(channels / lanes);
  const last = channels - (vectors - 1) * lanes;
  b.if(
    nonzero(0, vectors === 1 ? last : lanes),
    () => store(1),
    () => {
      store(0);
      const middle = Math.max(0, vectors - 2);
      b.loop("c", middle, (c) => b.if(nonzero(affine(scaled(c, lanes), lanes), lanes), () => store(1)));
      if (vectors > 1) b.if(nonzero((vectors - 1) * lanes, last), () => store(1));
    },
  );
}

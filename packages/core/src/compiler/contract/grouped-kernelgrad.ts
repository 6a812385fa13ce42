/** Kernel gradients of convolutions with few filters per group, with lanes over the filters of all groups. */
import { affine, type Index, scaled } from "../builder.ts";
import type { TargetProfile } from "../loopir.ts";
import type { ConvSpec, Epilogue, Lowered, LoweredStep } from "../lowered.ts";
import { isPadded, product, strides, taps, threeDims } from "./geometry.ts";
import { mappedLoader, overChannels, sizes, tileRows } from "./lanemaps.ts";
import { zeroRow } from "./pack.ts";
import { copyWindow, windowOf } from "./pad.ts";
import { reduceParts } from "./reduce.ts";
import { evenlyAtMost, loopPieces, partsNear, taskPieces, tasksFor } from "./split.ts";
import { Step } from "./step.ts";

export function lowerGroupedKernelGrad(spec: ConvSpec, profile: TargetProfile, epilogue: Epilogue | null): Lowered {
  const dims = threeDims(spec);
  const { lanes } = profile;
  const { x, y, kernel, perGroup } = sizes(spec);
  const steps: LoweredStep[] = [];
  const temps: { type: "f32"; size: number }[] = [];
  const rows = taps(dims) * perGroup.in;
  const flops = 2 * y * rows;
  const name = `conv_dk_grouped_${spec.inChannels}x${spec.outChannels}`;
  const outs = dims.map((d) => d.out);
  const padded = isPadded(dims);
  const window = windowOf(dims, [0, 0, 0], outs);
  const extents = padded ? window.extents : dims.map((d) => d.in);
  const image = product(extents) * spec.inChannels;
  if (padded) {
    const pad = new Step(`${name}_pad`);
    const from = pad.input(0, "x", x);
    temps.push({ type: "f32", size: spec.batch * image });
    const to = pad.temp(0, "padded", spec.batch * image, "write");
    const n = pad.b.task("image", spec.batch);
    copyWindow(
      pad.b,
      lanes,
      dims,
      spec.inChannels,
      window,
      { buffer: from, base: scaled(n, product(dims.map((d) => d.in)) * spec.inChannels) },
      { buffer: to, base: scaled(n, image) },
    );
    steps.push(pad.finish({ flops: 0, bytes: 8 * spec.batch * image }));
  }
  const parts = partsNear(spec.batch, Math.min(16, tasksFor(flops * 2)));
  const step = new Step(name);
  const source = padded ? step.temp(0, "padded", spec.batch * image, "read") : step.input(0, "x", x);
  const dy = step.input(1, "dy", y);
  const partial = step.temp(temps.length, "partial", parts * kernel, "readwrite");
  const { b } = step;
  const partTask = taskPieces(b, "part", spec.batch, parts);
  const stride = strides(extents, spec.inChannels);
  const origin = padded ? 0 : -dims.reduce((s, d, i) => s + d.padLow * stride[i], 0);
  const dyStride = strides(outs, spec.outChannels);
  const rowStride = strides(
    dims.map((d) => d.kernel),
    perGroup.in,
  );
  // Sums run along a row of pixels in registers and from row to row in memory, so that rows are read from near caches.
  const tiled = dims[2].out > 1 ? 2 : 1;
  const tapRows = evenlyAtMost(dims[tiled].kernel, tileRows);
  const wide = tapRows[0].size * 4 + 2 < 16 ? 2 * lanes : lanes;
  const loops = (list: readonly number[]) => list.map((e, i) => (i === tiled ? 1 : e));
  const [outD, outH, outW] = loops(outs);
  const [kernelD, kernelH, kernelW] = loops(dims.map((d) => d.kernel));
  partTask((n0, images, part) => {
    const base = scaled(part, kernel);
    zeroRow(b, lanes, partial, base, kernel);
    b.loop("n", images, (n) =>
      b.loop("d", outD, (d) =>
        b.loop("h", outH, (h) =>
          b.loop("w", outW, (w) =>
            overChannels(b, lanes, wide, spec.outChannels, (first, width, valid) => {
              const map = { per: perGroup.out, quotient: perGroup.in, remainder: 0 };
              const fromX = mappedLoader(b, width, first, spec.outChannels, map);
              const here = affine(n0, n);
              const pixel: Index[] = [d, h, w];
              pixel[tiled] = 0;
              const atX = affine(
                scaled(here, image),
                ...pixel.map((v, i) => scaled(v, stride[i] * dims[i].stride)),
                origin,
              );
              const atY = affine(
                scaled(here, dyStride[0] * outs[0]),
                ...pixel.map((v, i) => scaled(v, dyStride[i])),
                first,
              );
              b.loop("kd", kernelD, (kd) =>
                b.loop("kh", kernelH, (kh) =>
                  b.loop("kw", kernelW, (kw) =>
                    b.loop("term", perGroup.in, (term) =>
                      loopPieces(b, "tap", tapRows, (tap0, size) => {
                        const k: Index[] = [kd, kh, kw];
                        k[tiled] = tap0;
                        const row = affine(...k.map((v, i) => scaled(v, rowStride[i])), term);
                        const at = (r: number) =>
                          affine(base, scaled(affine(row, r * rowStride[tiled]), spec.outChannels), first);
                        const sums = Array.from({ length: size }, (_, r) => b.var(b.load(partial, at(r), width)));
                        const tap = affine(atX, ...k.map((v, i) => scaled(v, dims[i].dilation * stride[i])), term);
                        b.loop("pixel", outs[tiled], (q) => {
                          const right = b.load(dy, affine(atY, scaled(q, dyStride[tiled])), width);
                          const from = affine(tap, scaled(q, stride[tiled] * dims[tiled].stride));
                          sums.forEach((sum, r) => {
                            const left = fromX(source, affine(from, r * dims[tiled].dilation * stride[tiled]));
                            b.assign(sum, b.fma(left, right, sum));
                          });
                        });
                        sums.forEach((sum, r) => {
                          b.store(partial, at(r), sum, valid < width ? { count: valid } : {});
                        });
                      }),
                    ),
                  ),
                ),
              );
            }),
          ),
        ),
      ),
    );
  });
  steps.push(step.finish({ flops, bytes: 4 * (x + y + kernel) }));
  temps.push({ type: "f32", size: parts * kernel });
  steps.push(reduceParts(name, temps.length - 1, parts, rows, spec.outChannels, epilogue, 2, profile));
  return { steps, temps };
}

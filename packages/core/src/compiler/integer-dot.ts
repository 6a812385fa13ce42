/** Matrix products of i32 and u32, exact modulo 2^32: one task per row, vectors along the columns. */
import { affine, type Index, KernelBuilder, scaled } from "./builder.ts";
import type { TargetProfile } from "./loopir.ts";
import type { DotSpec, Epilogue, Lowered, Role } from "./lowered.ts";

export function lowerIntegerDot(
  spec: DotSpec,
  type: "i32" | "u32",
  profile: TargetProfile,
  epilogue: Epilogue | null,
): Lowered {
  const { m, n, k } = spec;
  const b = new KernelBuilder(`dot_${type}`);
  const bufferA = b.buffer("a", type, spec.a.size, "read");
  const bufferB = b.buffer("b", type, spec.b.size, "read");
  const extra = (epilogue?.inputs ?? []).map((e) => b.buffer(e.name, e.type, e.size, "read"));
  const rows = spec.batch.reduce((product, d) => product * d, m);
  const out = b.buffer("out", epilogue?.outType ?? type, rows * n, "write");

  const batch = spec.batch.map((d, i) => b.task(`batch${i}`, d));
  const row = b.task("row", m);
  let flatRow: Index = 0;
  batch.forEach((v, i) => {
    flatRow = affine(scaled(flatRow, spec.batch[i]), v);
  });
  flatRow = affine(scaled(flatRow, m), row);
  const startA = affine(spec.a.offset, scaled(row, spec.a.m), ...batch.map((v, i) => scaled(v, spec.a.batch[i])));
  const startB = affine(spec.b.offset, ...batch.map((v, i) => scaled(v, spec.b.batch[i])));

  const vector = (column: Index, count: number) => {
    const lanes = count === 1 ? 1 : profile.lanes;
    const sum = b.var(b.const(type, 0, lanes));
    b.loop("k", k, (l) => {
      const x = b.load(bufferA, affine(startA, scaled(l, spec.a.k)), lanes, lanes > 1 ? { stride: 0 } : {});
      const at = affine(startB, scaled(l, spec.b.k), scaled(column, spec.b.n));
      const strided = lanes > 1 && spec.b.n !== 1;
      const y = b.load(bufferB, at, lanes, strided ? { stride: spec.b.n, count } : {});
      b.assign(sum, b.add(sum, b.mul(x, y)));
    });
    const value = epilogue ? epilogue.emit(b, sum, extra, flatRow, column) : sum;
    b.store(out, affine(scaled(flatRow, n), column), value, count < lanes ? { count } : {});
  };
  const whole = Math.floor(n / profile.lanes);
  b.loop("columns", whole, (c) => vector(scaled(c, profile.lanes), profile.lanes));
  const rest = n - whole * profile.lanes;
  if (rest > 0) vector(whole * profile.lanes, rest);

  const roles: Role[] = [
    { role: "input", index: 0 },
    { role: "input", index: 1 },
    ...extra.map((_, i): Role => ({ role: "input", index: 2 + i })),
    { role: "output", index: 0 },
  ];
  const kernel = b.finish({ flops: 2 * rows * n * k, bytes: 4 * (spec.a.size + spec.b.size + rows * n) });
  return { steps: [{ kernel, roles }], temps: [] };
}

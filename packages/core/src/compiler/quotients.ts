/** Bytes divided by a number (pixels by 255): two products and a sum, several times as fast, where all bytes come out alike. */
import { apply1, atScope, type Node, type Value } from "../graph/node.ts";
import { addOp, divOp, mulOp } from "../graph/ops/binary.ts";
import { castOp } from "../graph/ops/cast.ts";
import { scalar } from "../graph/ops/source.ts";
import { broadcastTo } from "../graph/ops/view.ts";
import { constantNumber } from "./simplify.ts";

/** x / c for x cast from bytes, as x·high + x·low with high + low = 1/c, or null. */
export function byteQuotient(node: Node, [x, divisor]: readonly Value[]): Value | null {
  if (node.op !== divOp || node.types[0].dtype !== "f32") return null;
  const c = constantNumber(divisor);
  const smallest = { u8: 0, i8: -128 }[castFrom(x) as "u8" | "i8"];
  if (c === undefined || smallest === undefined) return null;
  // Sixteen bits of the inverse: products with bytes are exact, so that one rounding is left, with FMA or without.
  const high = upperBits(1 / c);
  const low = Math.fround(1 / c - high);
  for (let v = smallest; v < smallest + 256; v++)
    if (!Object.is(Math.fround(v * high + Math.fround(v * low)), Math.fround(v / c))) return null;
  return atScope(node.scope, () => {
    const times = (factor: number) => apply1(mulOp, [x, broadcastTo(scalar(factor, "f32"), x.shape)], null);
    return apply1(addOp, [times(high), times(low)], null);
  });
}

/** The dtype that a value was cast from, seen through views. */
function castFrom(v: Value): string | null {
  let at = v;
  while (at.node.op.kernel.kind === "view") at = at.node.inputs[0];
  return at.node.op === castOp ? at.node.inputs[0].dtype : null;
}

function upperBits(x: number): number {
  const bits = new DataView(new ArrayBuffer(4));
  bits.setFloat32(0, x);
  bits.setUint32(0, bits.getUint32(0) & 0xffffff00);
  return bits.getFloat32(0);
}

/** The modified Bessel function of order 0, whose derivative is that of order 1. */
import * as g from "../../graph/ops/index.ts";
import { Tensor, type TensorLike } from "../tensor.ts";
import { abs, divide, exp, less, multiply, sign, sqrt, where } from "./elementwise.ts";
import { castTo, toFloat } from "./promote.ts";

/** Polynomials of Abramowitz and Stegun 9.8.1 to 9.8.4: in (x/3.75)² below 3.75, in 3.75/x above. */
const orders = [
  {
    near: [1, 3.5156229, 3.0899424, 1.2067492, 0.2659732, 0.0360768, 0.0045813],
    far: [
      0.39894228, 0.01328592, 0.00225319, -0.00157565, 0.00916281, -0.02057706, 0.02635537, -0.01647633, 0.00392377,
    ],
  },
  {
    near: [0.5, 0.87890594, 0.51498869, 0.15084934, 0.02658733, 0.00301532, 0.00032411],
    far: [
      0.39894228, -0.03988024, -0.00362018, 0.00163801, -0.01031555, 0.02282967, -0.02895312, 0.01787654, -0.00420059,
    ],
  },
] as const;

const horner = (c: readonly number[], t: Tensor): Tensor =>
  c.slice(0, -1).reduceRight((sum, v) => sum.mul(t).add(v), t.mul(0).add(c[c.length - 1]));

/** I_order(x); relative error below 3e-7; NaN at infinity, as in numpy. */
function bessel(x: Tensor, order: 0 | 1): Tensor {
  const a = abs(x);
  const small = less(a, 3.75);
  const near = divide(where(small, a, 0), 3.75);
  const series = horner(orders[order].near, near.mul(near));
  const far = where(small, 3.75, a);
  const tail = horner(orders[order].far, divide(3.75, far)).mul(divide(exp(far), sqrt(far)));
  return order === 0 ? where(small, series, tail) : where(small, series.mul(x), tail.mul(sign(x)));
}

/** The modified Bessel function of the first kind of order 0. */
export function i0(x: TensorLike): Tensor {
  const t = castTo(toFloat(x), "f32");
  const [y] = g.customGradient([bessel(t, 0).value], [t.value], ([dy]) => [
    multiply(new Tensor(dy), bessel(t, 1)).value,
  ]);
  return castTo(new Tensor(y), toFloat(x).dtype);
}

/**
 * Fourier transforms along the last axis, with Keras' arguments: a complex tensor is a pair [real, imaginary].
 *
 * A transform is written as products with small constant matrices: small sizes are one product, larger ones are
 * split N = A·B (Cooley and Tukey 1965) until they are small, real ones of even size are half as long (neighbours as one
 * complex number), and long prime sizes go through Bluestein's chirp (1970). Products run at the speed of the machine, and
 * their gradients are the gradients.
 */
import { Tensor, type TensorLike, tensorFrom } from "../tensor.ts";
import { matmul } from "./linalg.ts";
import { argumentError, castTo } from "./promote.ts";
import { concatenate, flip, pad, reshape, sliceAxis, stack, swapaxes, transpose } from "./shape.ts";

/** A complex tensor: its real and imaginary parts, of one shape. */
export type Complex = readonly [TensorLike, TensorLike];

/** Sizes that are one product with their matrix, complex and real; above, splitting is faster (measured on wasm). */
const direct = 48;
const directReal = 160;
/** Prime sizes up to this are too: the chirp takes two transforms of at least twice the size. */
const directPrime = 400;

/** Sign of the exponent in e^(±2πi·kn/N): -1 forwards, 1 backwards. */
type Sign = -1 | 1;

const constant = (shape: readonly number[], at: (i: number) => number): Tensor =>
  tensorFrom(
    Float32Array.from({ length: shape.reduce((p, d) => p * d, 1) }, (_, i) => at(i)),
    shape,
    "f32",
  );
/** Angle 2π·a/n with a reduced exactly, so that large products of indices lose nothing. */
const angle = (a: number, n: number): number => (2 * Math.PI * (a % n)) / n;

/** z·f where both carry real and imaginary parts along `axis`; f is given as two tensors with 1 there. */
function times(z: Tensor, axis: number, re: Tensor, im: Tensor): Tensor {
  return z.mul(re).add(flip(z, axis).mul(concatenate([im.neg(), im], axis)));
}

/** The matrix [2n, 2n] that takes [real | imaginary] of n numbers to that of their transform. */
function matrix(n: number, sign: Sign): Tensor {
  return constant([2 * n, 2 * n], (i) => {
    const [row, column] = [Math.floor(i / (2 * n)), i % (2 * n)];
    const a = angle((row % n) * (column % n), n);
    if (row < n === column < n) return Math.cos(a);
    return (row < n ? sign : -sign) * Math.sin(a);
  });
}

/** The largest divisor of n up to √n; 1 when n is prime. */
function divisor(n: number): number {
  for (let a = Math.floor(Math.sqrt(n)); a > 1; a--) if (n % a === 0) return a;
  return 1;
}

/** z: [R, 2, N] → Σ z·e^(sign·2πi·kn/N) of each row: [R, 2, N]. */
function transform(z: Tensor, sign: Sign): Tensor {
  const [rows, , n] = z.shape;
  const a = divisor(n);
  if (n <= direct || (a === 1 && n <= directPrime))
    return reshape(matmul(reshape(z, [rows, 2 * n]), matrix(n, sign)), [rows, 2, n]);
  if (a === 1) return chirp(z, sign);
  // Input b·j + l, output p + a·q: transforms over j (size a), a turn by e^(±2πi·pl/N), transforms over l (size b).
  const b = n / a;
  const columns = transpose(reshape(z, [rows, 2, a, b]), [0, 3, 1, 2]); // [R, b, 2, a]
  const inner = reshape(transform(reshape(columns, [rows * b, 2, a]), sign), [rows, b, 2, a]);
  const turn = (i: number): number => angle(Math.floor(i / a) * (i % a), n);
  const turned = times(
    inner,
    2,
    constant([1, b, 1, a], (i) => Math.cos(turn(i))),
    constant([1, b, 1, a], (i) => sign * Math.sin(turn(i))),
  );
  const across = reshape(transpose(turned, [0, 3, 2, 1]), [rows * a, 2, b]);
  const outer = reshape(transform(across, sign), [rows, a, 2, b]);
  return reshape(transpose(outer, [0, 2, 3, 1]), [rows, 2, n]);
}

/**
 * A transform of prime size as a convolution: kn = (k² + n² - (k-n)²)/2, so X[k] = c[k]·Σ (x[n]·c[n])·c̄[k-n] with
 * c[n] = e^(sign·πi·n²/N), and the convolution by transforms of a power of two.
 */
function chirp(z: Tensor, sign: Sign): Tensor {
  const n = z.shape[2];
  const size = 2 ** Math.ceil(Math.log2(2 * n - 1));
  const half = (i: number): number => angle(i * i, 2 * n);
  const re = constant([1, 1, n], (i) => Math.cos(half(i)));
  const im = constant([1, 1, n], (i) => sign * Math.sin(half(i)));
  const filter = [new Float64Array(size), new Float64Array(size)] as const;
  for (let i = 0; i < n; i++) {
    for (const at of [i, (size - i) % size]) {
      filter[0][at] = Math.cos(half(i)) / size;
      filter[1][at] = (-sign * Math.sin(half(i))) / size;
    }
  }
  transformHost(filter[0], filter[1]);
  const padded = pad(times(z, 1, re, im), [
    [0, 0],
    [0, 0],
    [0, size - n],
  ]);
  const product = times(
    transform(padded, -1),
    1,
    constant([1, 1, size], (i) => filter[0][i]),
    constant([1, 1, size], (i) => filter[1][i]),
  );
  return times(sliceAxis(transform(product, 1), 2, 0, n), 1, re, im);
}

/** The forward transform of a power of two in place, in float64: for constants. */
function transformHost(re: Float64Array, im: Float64Array): void {
  const n = re.length;
  for (let i = 1, j = 0; i < n; i++) {
    let bit = n >> 1;
    for (; j & bit; bit >>= 1) j ^= bit;
    j ^= bit;
    if (i < j) {
      [re[i], re[j]] = [re[j], re[i]];
      [im[i], im[j]] = [im[j], im[i]];
    }
  }
  for (let length = 2; length <= n; length *= 2) {
    for (let k = 0; k < length / 2; k++) {
      const c = Math.cos(angle(k, length));
      const s = -Math.sin(angle(k, length));
      for (let i = k; i < n; i += length) {
        const j = i + length / 2;
        const [x, y] = [re[j] * c - im[j] * s, re[j] * s + im[j] * c];
        [re[j], im[j]] = [re[i] - x, im[i] - y];
        [re[i], im[i]] = [re[i] + x, im[i] + y];
      }
    }
  }
}

/** x: [R, N] real → the first ⌊N/2⌋+1 numbers of its transform: [R, 2, K]. */
function transformReal(x: Tensor): Tensor {
  const [rows, n] = x.shape;
  const bins = Math.floor(n / 2) + 1;
  if (n <= directReal || (n % 2 === 1 && n <= directPrime && divisor(n) === 1)) {
    const w = constant([n, 2 * bins], (i) => {
      const [j, k] = [Math.floor(i / (2 * bins)), i % (2 * bins)];
      return k < bins ? Math.cos(angle(j * k, n)) : -Math.sin(angle(j * (k - bins), n));
    });
    return reshape(matmul(x, w), [rows, 2, bins]);
  }
  if (n % 2 === 1) {
    const z = stack([x, x.mul(0)], 1);
    return sliceAxis(transform(z, -1), 2, 0, bins);
  }
  // Even and odd samples as one complex signal of half the size; its transform Z and conj Z[-k] hold both of theirs.
  const z = transform(transpose(reshape(x, [rows, n / 2, 2]), [0, 2, 1]), -1);
  const [whole, mirrored] = mirror(z);
  const even = whole.add(mirrored).mul(0.5);
  const odd = whole.sub(mirrored).mul(0.5);
  const re = constant([1, 1, bins], (k) => -Math.sin(angle(k, n)));
  const im = constant([1, 1, bins], (k) => -Math.cos(angle(k, n)));
  return even.add(times(odd, 1, re, im));
}

/** [R, 2, H] → Z[k] and conj Z[H - k] for k = 0 … H (with Z[H] = Z[0]). */
function mirror(z: Tensor): [Tensor, Tensor] {
  return withConjugate(concatenate([z, sliceAxis(z, 2, 0, 1)], 2));
}
function withConjugate(z: Tensor): [Tensor, Tensor] {
  return [z, flip(z, 2).mul(constant([1, 2, 1], (i) => 1 - 2 * i))];
}

/** The half spectrum [R, 2, ⌊N/2⌋+1] → the N real numbers it belongs to: [R, N]. Imaginary parts of bin 0 and N/2 are not read. */
function inverseReal(z: Tensor, n: number): Tensor {
  const [rows, , bins] = z.shape;
  if (n <= directReal || (n % 2 === 1 && n <= directPrime && divisor(n) === 1)) {
    const w = constant([2 * bins, n], (i) => {
      const [row, j] = [Math.floor(i / n), i % n];
      const k = row % bins;
      const share = (k === 0 || 2 * k === n ? 1 : 2) / n;
      return share * (row < bins ? Math.cos(angle(j * k, n)) : -Math.sin(angle(j * k, n)));
    });
    return matmul(reshape(z, [rows, 2 * bins]), w);
  }
  const real = constant([1, 2, bins], (i) => (i < bins || (i > bins && 2 * (i - bins) !== n) ? 1 : 0));
  const [whole, mirrored] = withConjugate(z.mul(real));
  if (n % 2 === 1) {
    const full = concatenate([whole, sliceAxis(mirrored, 2, 0, bins - 1)], 2);
    return reshape(sliceAxis(transform(full, 1), 1, 0, 1), [rows, n]).mul(1 / n);
  }
  const h = n / 2;
  const re = constant([1, 1, bins], (k) => -Math.sin(angle(k, n)));
  const im = constant([1, 1, bins], (k) => Math.cos(angle(k, n)));
  const both = whole.add(mirrored).add(times(whole.sub(mirrored), 1, re, im));
  const samples = transform(sliceAxis(both, 2, 0, h), 1).mul(1 / n);
  return reshape(transpose(samples, [0, 2, 1]), [rows, n]);
}

// Public functions.

function realPart(name: string, x: TensorLike, rank = 1): Tensor {
  const t = Tensor.of(x);
  if (t.ndim < rank || t.shape.slice(-rank).some((d) => d < 1))
    throw argumentError(name, "there is nothing to transform", `shape [${t.shape}]`, `rank ${rank} or more, sizes ≥ 1`);
  return castTo(t, "f32");
}
function complexParts(name: string, [re, im]: Complex, rank = 1): [Tensor, Tensor] {
  const parts: [Tensor, Tensor] = [realPart(name, re, rank), realPart(name, im, rank)];
  if (String(parts[0].shape) !== String(parts[1].shape))
    throw argumentError(
      name,
      "real and imaginary parts differ in shape",
      `[${parts[0].shape}] and [${parts[1].shape}]`,
      "one shape",
    );
  return parts;
}
/** [R, 2, N] as the pair of parts with the leading axes of `shape`. */
function pair(z: Tensor, lead: readonly number[]): [Tensor, Tensor] {
  const shape = [...lead, z.shape[2]];
  return [reshape(sliceAxis(z, 1, 0, 1), shape), reshape(sliceAxis(z, 1, 1, 2), shape)];
}
function packed([re, im]: readonly [Tensor, Tensor]): Tensor {
  const n = re.shape[re.ndim - 1];
  return stack([reshape(re, [re.size / n, n]), reshape(im, [re.size / n, n])], 1);
}
/** Cut or filled with zeros to `n` numbers along the last axis. */
function fitted(x: Tensor, n: number): Tensor {
  const at = x.ndim - 1;
  const size = x.shape[at];
  if (n === size) return x;
  return n < size
    ? sliceAxis(x, at, 0, n)
    : pad(
        x,
        x.shape.map((_, i) => [0, i === at ? n - size : 0]),
      );
}
function checkedLength(name: string, n: number): number {
  if (!Number.isInteger(n) || n < 1)
    throw argumentError(name, "the length of the transform is not usable", String(n), "an integer ≥ 1");
  return n;
}

/** The discrete Fourier transform Σ x[n]·e^(-2πi·kn/N) along the last axis: [real, imaginary] of […, N] → the same shapes. */
export function fft(x: Complex): [Tensor, Tensor] {
  const parts = complexParts("fft", x);
  return pair(transform(packed(parts), -1), parts[0].shape.slice(0, -1));
}
/** The inverse of `fft`, with its factor 1/N. */
export function ifft(x: Complex): [Tensor, Tensor] {
  const parts = complexParts("ifft", x);
  const n = parts[0].shape[parts[0].ndim - 1];
  return pair(transform(packed(parts), 1).mul(1 / n), parts[0].shape.slice(0, -1));
}
/** `fft` along the last two axes. */
export function fft2(x: Complex): [Tensor, Tensor] {
  return bothAxes("fft2", x, fft);
}
/** The inverse of `fft2`. */
export function ifft2(x: Complex): [Tensor, Tensor] {
  return bothAxes("ifft2", x, ifft);
}
function bothAxes(name: string, x: Complex, f: (x: Complex) => [Tensor, Tensor]): [Tensor, Tensor] {
  const turn = ([re, im]: readonly [Tensor, Tensor]): [Tensor, Tensor] => [swapaxes(re, -1, -2), swapaxes(im, -1, -2)];
  return turn(f(turn(f(complexParts(name, x, 2)))));
}

/**
 * The transform of real numbers: […, N] → [real, imaginary] of […, ⌊N/2⌋+1], the half that determines the rest. The last axis
 * is first cut or filled with zeros to `fftLength`.
 */
export function rfft(x: TensorLike, fftLength: number | null = null): [Tensor, Tensor] {
  let t = realPart("rfft", x);
  if (fftLength !== null) t = fitted(t, checkedLength("rfft", fftLength));
  const n = t.shape[t.ndim - 1];
  return pair(transformReal(reshape(t, [t.size / n, n])), t.shape.slice(0, -1));
}
/** The inverse of `rfft`: [real, imaginary] of […, K] → […, fftLength], by default 2(K-1). */
export function irfft(x: Complex, fftLength: number | null = null): Tensor {
  let parts = complexParts("irfft", x);
  const bins = parts[0].shape[parts[0].ndim - 1];
  const n = checkedLength("irfft", fftLength ?? 2 * (bins - 1));
  const needed = Math.floor(n / 2) + 1;
  parts = [fitted(parts[0], needed), fitted(parts[1], needed)];
  return reshape(inverseReal(packed(parts), n), [...parts[0].shape.slice(0, -1), n]);
}

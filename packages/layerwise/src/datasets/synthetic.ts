/** Digits drawn from strokes with a trembling hand: something honest to train on where there is no network. */
import { LayerwiseError, tensor } from "@layerwise/core";
import { digitStyles, type Point, type Stroke } from "./digit-strokes.ts";
import type { Split, Splits } from "./idx-dataset.ts";

export interface SyntheticDigitsOptions {
  /** The same seed gives the same pictures (default 0). */
  readonly seed?: number;
  /** Number of pictures to train on (default 60,000) … */
  readonly train?: number;
  /** … and to test on (default 10,000). */
  readonly test?: number;
}

const side = 28;

/**
 * Drawn digits in the form of MNIST: `train.x: u8 [train, 28, 28]`, `train.y: u8 [train]` (0 … 9). Every picture has its own
 * style, slant, rotation, size, place, pen, brightness and noise; picture i does not depend on how many are asked for.
 */
export function syntheticDigits({ seed = 0, train = 60_000, test = 10_000 }: SyntheticDigitsOptions = {}): Splits {
  for (const [name, value, least] of [
    ["seed", seed, 0],
    ["train", train, 1],
    ["test", test, 1],
  ] as const) {
    if (!Number.isSafeInteger(value) || value < least) {
      throw new LayerwiseError(`syntheticDigits: ${name} must be an integer of at least ${least}`, {
        code: "D208",
        layer: "syntheticDigits",
        received: String(value),
        expected: `an integer ≥ ${least}`,
      });
    }
  }
  return { train: drawSplit(seed, 0, train), test: drawSplit(seed, 1, test) };
}

function drawSplit(seed: number, split: number, count: number): Split {
  const x = new Uint8Array(count * side * side);
  const y = new Uint8Array(count);
  for (let i = 0; i < count; i++) {
    const random = new Random(seed, split, i);
    y[i] = random.below(10);
    drawDigit(y[i], random, x.subarray(i * side * side, (i + 1) * side * side));
  }
  return { x: tensor(x, [count, side, side], "u8"), y: tensor(y, [count], "u8") };
}

function drawDigit(digit: number, random: Random, out: Uint8Array): void {
  const style = digitStyles[digit][random.below(digitStyles[digit].length)];
  const place = randomPlacement(random);
  const tremble = random.between(0.01, 0.07);
  const ink = new Float32Array(side * side);
  for (const stroke of style) {
    const shaken = shake(stroke, tremble, random).map(place);
    drawStroke(shaken, random.between(0.5, 1.4), random.between(-0.4, 0.4), ink);
  }
  const brightness = random.between(170, 255);
  const grain = random.between(0, 22);
  for (let p = 0; p < ink.length; p++) {
    // Noise lies on ink and paper alike; the clamp keeps most of the paper black, as in a scan.
    out[p] = Math.max(
      0,
      Math.min(255, Math.round(brightness * ink[p] + grain * (random.between(-1, 1) + random.between(-1.6, 0.6)))),
    );
  }
}

/** Points moved by slow wandering of the hand: errors at every third point, linear in between. */
function shake(stroke: Stroke, amount: number, random: Random): Stroke {
  const every = 3;
  const errors = Array.from({ length: Math.ceil((stroke.length - 1) / every) + 1 }, (): Point => {
    return [random.normal() * amount, random.normal() * amount];
  });
  return stroke.map(([x, y], i): Point => {
    const t = (i % every) / every;
    const before = errors[Math.floor(i / every)];
    const after = errors[Math.min(Math.floor(i / every) + 1, errors.length - 1)];
    return [x + before[0] * (1 - t) + after[0] * t, y + before[1] * (1 - t) + after[1] * t];
  });
}

/** Unit square → pixels: size, slant, rotation, then a shift that keeps the digit on the sheet. */
function randomPlacement(random: Random): (p: Point) => Point {
  const width = random.between(13, 21);
  const height = random.between(17, 22);
  const slant = random.normal() * 0.18;
  const angle = random.normal() * 0.13;
  const [sin, cos] = [Math.sin(angle), Math.cos(angle)];
  const dx = side / 2 - 0.5 + random.between(-2.5, 2.5);
  const dy = side / 2 - 0.5 + random.between(-2, 2);
  return ([px, py]) => {
    const v = (py - 0.5) * height;
    const u = (px - 0.5) * width - slant * v;
    return [dx + u * cos - v * sin, dy + u * sin + v * cos];
  };
}

/** A smooth curve through the points, with a pen of `radius` pixels that grows by the factor 1 + `pressure` along the way. */
function drawStroke(points: Stroke, radius: number, pressure: number, ink: Float32Array): void {
  const steps = 3;
  const total = (points.length - 1) * steps;
  let from = points[0];
  for (let i = 1; i <= total; i++) {
    const to = onCurve(points, i / steps);
    drawSegment(from, to, radius * (1 + (pressure * i) / total), ink);
    from = to;
  }
}

/** Catmull-Rom spline (Catmull, Rom 1974) through `points` at parameter t in [0, length − 1]. */
function onCurve(points: Stroke, t: number): Point {
  const last = points.length - 1;
  const i = Math.min(Math.floor(t), last - 1);
  const u = t - i;
  const [p0, p1, p2, p3] = [points[Math.max(i - 1, 0)], points[i], points[i + 1], points[Math.min(i + 2, last)]];
  const blend = (axis: 0 | 1) =>
    0.5 *
    (2 * p1[axis] +
      (p2[axis] - p0[axis]) * u +
      (2 * p0[axis] - 5 * p1[axis] + 4 * p2[axis] - p3[axis]) * u * u +
      (3 * p1[axis] - p0[axis] - 3 * p2[axis] + p3[axis]) * u * u * u);
  return [blend(0), blend(1)];
}

/** Ink of a straight piece with round ends; a pixel is covered as far as the edge reaches into it. */
function drawSegment([x0, y0]: Point, [x1, y1]: Point, radius: number, ink: Float32Array): void {
  const reach = radius + 0.5;
  const left = Math.max(0, Math.ceil(Math.min(x0, x1) - reach));
  const right = Math.min(side - 1, Math.floor(Math.max(x0, x1) + reach));
  const top = Math.max(0, Math.ceil(Math.min(y0, y1) - reach));
  const bottom = Math.min(side - 1, Math.floor(Math.max(y0, y1) + reach));
  const [dx, dy] = [x1 - x0, y1 - y0];
  const length2 = dx * dx + dy * dy;
  for (let py = top; py <= bottom; py++) {
    for (let px = left; px <= right; px++) {
      const along = length2 === 0 ? 0 : Math.max(0, Math.min(1, ((px - x0) * dx + (py - y0) * dy) / length2));
      const [ex, ey] = [px - x0 - along * dx, py - y0 - along * dy];
      const cover = Math.min(1, reach - Math.sqrt(ex * ex + ey * ey));
      const at = py * side + px;
      if (cover > ink[at]) ink[at] = cover;
    }
  }
}

/** sfc32 (Chris Doty-Humphrey, PractRand), started from three numbers. */
class Random {
  private a: number;
  private b: number;
  private c: number;
  private counter = 1;

  constructor(seed: number, split: number, index: number) {
    this.a = seed | 0;
    this.b = (Math.floor(seed / 2 ** 32) ^ (split * 0x9e3779b9)) | 0;
    this.c = index | 0;
    // The start values differ in few bits; these rounds spread them.
    for (let i = 0; i < 15; i++) this.next();
  }

  private next(): number {
    const t = (this.a + this.b + this.counter) | 0;
    this.counter = (this.counter + 1) | 0;
    this.a = this.b ^ (this.b >>> 9);
    this.b = (this.c + (this.c << 3)) | 0;
    this.c = (((this.c << 21) | (this.c >>> 11)) + t) | 0;
    return t >>> 0;
  }

  /** Uniform in [low, high). */
  between(low: number, high: number): number {
    return low + ((high - low) * this.next()) / 2 ** 32;
  }

  /** Uniform integer in [0, n), n small. */
  below(n: number): number {
    return Math.floor(this.between(0, n));
  }

  /** Nearly normal with variance 1 (sum of three uniforms), without a tail that would throw a stroke off the sheet. */
  normal(): number {
    return this.between(-1, 1) + this.between(-1, 1) + this.between(-1, 1);
  }
}

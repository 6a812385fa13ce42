/** Choosing the next token from the scores of a model. */
import { LayerwiseError } from "../errors.ts";
import type { Generator } from "../initializers/generator.ts";

export interface SamplingOptions {
  /** Scores are divided by it: below 1 bolder, above 1 more random; 0 takes the most probable token. Default 1. */
  readonly temperature?: number;
  /** Only the k most probable tokens. */
  readonly topK?: number | null;
  /** Only the most probable tokens that together have this probability (Holtzman et al. 2020). */
  readonly topP?: number | null;
}

export function checkSampling({ temperature = 1, topK = null, topP = null }: SamplingOptions): void {
  const fail = (option: string, received: number, expected: string): never => {
    throw new LayerwiseError(`generate: the option "${option}" is not valid`, {
      code: "E202",
      received: String(received),
      expected,
    });
  };
  if (!(temperature >= 0 && temperature < Number.POSITIVE_INFINITY)) fail("temperature", temperature, "a number ≥ 0");
  if (topK !== null && !(Number.isInteger(topK) && topK >= 1)) fail("topK", topK, "an integer ≥ 1");
  if (topP !== null && !(topP > 0 && topP <= 1)) fail("topP", topP, "a number above 0 and up to 1");
}

/** Whether scores are probabilities (of a softmax) and not logits: none is negative, and they sum to 1. */
export function areProbabilities(scores: Float32Array): boolean {
  let sum = 0;
  for (const s of scores) {
    if (!(s >= 0)) return false;
    sum += s;
  }
  return Math.abs(sum - 1) < 1e-3;
}

/** A token drawn from logits or probabilities [V]. */
export function sampleToken(scores: Float32Array, options: SamplingOptions, random: Generator): number {
  const { temperature = 1, topK = null, topP = null } = options;
  const probabilities = areProbabilities(scores);
  let best = 0;
  for (let i = 1; i < scores.length; i++) if (scores[i] > scores[best]) best = i;
  if (!Number.isFinite(scores[best])) {
    throw new LayerwiseError("the model gave no scores to choose from", {
      code: "L110",
      received: String(scores[best]),
      expected: "finite scores",
    });
  }
  if (temperature === 0 || topK === 1) return best;
  const weigh = (s: number) =>
    probabilities ? (s / scores[best]) ** (1 / temperature) : Math.exp((s - scores[best]) / temperature);
  let kept = Array.from(scores, (_, i) => i);
  if (topK !== null && topK < scores.length) {
    const least = scores.slice().sort()[scores.length - topK];
    kept = kept.filter((i) => scores[i] >= least);
  }
  if (topP !== null || (topK !== null && kept.length > topK)) kept.sort((a, b) => scores[b] - scores[a] || a - b);
  if (topK !== null) kept.length = Math.min(kept.length, topK);
  const weights = kept.map((i) => weigh(scores[i]));
  let total = weights.reduce((s, w) => s + w, 0);
  let count = kept.length;
  if (topP !== null) {
    let sum = 0;
    count = 0;
    while (count < kept.length && sum < topP * total) sum += weights[count++];
    total = sum;
  }
  let left = random.uniform() * total;
  for (let i = 0; i < count; i++) {
    left -= weights[i];
    if (left < 0) return kept[i];
  }
  return kept[count - 1];
}

/** Generating text: the model's next token, again and again. */
import { LayerwiseError } from "../errors.ts";
import { Generator } from "../initializers/generator.ts";
import { isShape } from "../layers/arguments.ts";
import type { Model } from "../models/model.ts";
import { currentSettings } from "../tensor/config.ts";
import { Yielder } from "../tensor/yielding.ts";
import type { Tokenizer } from "../text/tokenizer.ts";
import { checkSampling, type SamplingOptions, sampleToken } from "./sampling.ts";
import { openSession, type Session } from "./sessions.ts";

export interface GenerateOptions extends SamplingOptions {
  /** Number of tokens to end with, those of the prompt included (default: 100 more than the prompt). */
  readonly maxLength?: number;
  /** Of the random draws; equal seeds give equal texts. Default: that of `configure`. */
  readonly seed?: number;
  /** Tokens that end the text; they are not part of it. */
  readonly stopTokens?: readonly number[];
  /** Turns a prompt of text into ids, and ids into text. */
  readonly tokenizer?: Tokenizer;
  /** false: compute the whole sequence for each token, even where layers could go on from their states. */
  readonly useCache?: boolean;
}

/** A text that is being generated: pieces as they come (`for await`), or all of it. */
export class Generation<Piece extends string | number> implements AsyncIterable<Piece> {
  private readonly tokenizer: Tokenizer | null;
  private readonly prompt: readonly number[];
  private readonly tokens: () => AsyncGenerator<number>;

  constructor(prompt: readonly number[], tokens: () => AsyncGenerator<number>, tokenizer: Tokenizer | null) {
    this.prompt = prompt;
    this.tokens = tokens;
    this.tokenizer = tokenizer;
  }
  /** Pieces of new text where there is a tokenizer, else new ids. Each loop starts from the prompt. */
  async *[Symbol.asyncIterator](): AsyncIterator<Piece> {
    const decode = this.tokenizer?.decoder();
    for await (const id of this.tokens()) {
      const piece = decode ? decode([id]) : id;
      if (piece !== "") yield piece as Piece;
    }
    const rest = decode?.([], true) ?? "";
    if (rest !== "") yield rest as Piece;
  }
  /** All ids, the prompt's first. */
  async ids(): Promise<Int32Array> {
    const ids = [...this.prompt];
    for await (const id of this.tokens()) ids.push(id);
    return Int32Array.from(ids);
  }
  /** The whole text, the prompt first. */
  async text(): Promise<string> {
    if (this.tokenizer) return this.tokenizer.decode(await this.ids());
    throw new LayerwiseError("text() needs a tokenizer", {
      code: "E202",
      received: "no tokenizer",
      expected: "generate(model, prompt, { tokenizer })",
      hint: "ids() gives the numbers",
    });
  }
}

/**
 * Continues a prompt with a model that maps ids [N, T] to scores of the next token, logits or probabilities: [N, T, V] (row t
 * scores token t + 1 from tokens 0 … t) or [N, V].
 *
 *     for await (const piece of generate(model, "ROMEO:", { tokenizer, temperature: 0.8 })) process.stdout.write(piece);
 *
 * Where every layer can go on from a state (recurrent layers, causal self-attention with its cache of keys and values, layers
 * that see single steps), one step is computed per token; else the whole sequence. A model with a bounded context goes on from
 * the last half of it when it is full.
 */
export function generate(
  model: Model,
  prompt: string,
  options: GenerateOptions & { readonly tokenizer: Tokenizer },
): Generation<string>;
export function generate(
  model: Model,
  prompt: ArrayLike<number>,
  options: GenerateOptions & { readonly tokenizer: Tokenizer },
): Generation<string>;
export function generate(model: Model, prompt: ArrayLike<number>, options?: GenerateOptions): Generation<number>;
export function generate(
  model: Model,
  prompt: string | ArrayLike<number>,
  options: GenerateOptions = {},
): Generation<string | number> {
  const { tokenizer = null, stopTokens = [], useCache = true } = options;
  checkSampling(options);
  const start = promptIds(prompt, tokenizer);
  checkModel(model, start);
  const maxLength = options.maxLength ?? start.length + 100;
  if (!Number.isInteger(maxLength) || maxLength < start.length) {
    throw new LayerwiseError("generate: maxLength is shorter than the prompt", {
      code: "E202",
      received: `maxLength ${maxLength}, a prompt of ${start.length} tokens`,
      expected: `an integer ≥ ${start.length}`,
    });
  }
  const seed = options.seed ?? currentSettings().seed;
  const tokens = async function* (): AsyncGenerator<number> {
    const random = new Generator("generate", seed);
    const yielder = new Yielder();
    const ids = [...start];
    let session: Session | null = null;
    try {
      session = openSession(model, maxLength, useCache);
      session.busy = true;
      while (ids.length < maxLength) {
        const id = sampleToken(session.scores(ids), options, random);
        if (stopTokens.includes(id)) return;
        ids.push(id);
        yield id;
        if (yielder.due(performance.now())) await yielder.yield();
      }
    } finally {
      if (session) session.busy = false;
    }
  };
  return new Generation(start, tokens, tokenizer);
}

function promptIds(prompt: string | ArrayLike<number>, tokenizer: Tokenizer | null): number[] {
  if (typeof prompt === "string" && tokenizer === null) {
    throw new LayerwiseError("generate: a prompt of text needs a tokenizer", {
      code: "E202",
      received: JSON.stringify(prompt.slice(0, 40)),
      expected: "{ tokenizer }, or a prompt of ids",
    });
  }
  const ids = Array.from(typeof prompt === "string" ? tokenizer!.encode(prompt) : prompt);
  if (ids.length > 0) return ids;
  throw new LayerwiseError("generate: the prompt has no tokens", {
    code: "E407",
    received: JSON.stringify(prompt),
    expected: "at least one token",
    hint: "begin with a token that starts texts, e.g. a line break",
  });
}

function checkModel(model: Model, prompt: readonly number[]): void {
  model.requireBuilt("generate");
  const owner = model.describe();
  const shape = model.buildShape;
  const fail = (received: string, expected: string): never => {
    throw new LayerwiseError(`${owner} cannot generate`, { code: "E407", layer: model.name, received, expected });
  };
  if (model.hostStage) fail("a model that takes texts", "a model of ids; give the tokenizer to generate");
  if (!isShape(shape) || shape.length !== 2) return fail(`inputs ${JSON.stringify(shape)}`, "ids [N, T]");
  const output = model.computeOutputShape(shape);
  if (!isShape(output) || output.length < 2 || output.length > 3)
    return fail(`outputs ${JSON.stringify(output)}`, "scores [N, T, V] or [N, V]");
  const size = output[output.length - 1];
  const wrong = prompt.find((id) => !Number.isInteger(id) || id < 0 || (size !== null && id >= size));
  if (wrong !== undefined) {
    throw new LayerwiseError("generate: a token of the prompt is not in the model's vocabulary", {
      code: "E406",
      layer: model.name,
      received: String(wrong),
      expected: `integers from 0 to ${(size ?? 0) - 1}`,
    });
  }
}

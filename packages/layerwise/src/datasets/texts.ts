/** Text data sets: labelled sentences as arrays of strings, and Shakespeare as one string. */
import { data, LayerwiseError, type Tensor, tensor, text } from "@layerwise/core";
import { type DatasetOptions, obtainFile, type SearchOptions } from "./files.ts";
import {
  chnSentiCorpSource,
  gpt2Source,
  rtPolaritySource,
  smsSpamSource,
  sst2Source,
  type TextSource,
  tinyShakespeareSource,
  trecSource,
} from "./text-sources.ts";

/** Texts and the class number of each: x [N] strings, y u8 [N]. */
export interface TextSplit {
  readonly x: readonly string[];
  readonly y: Tensor;
}
export interface TextSplits {
  readonly train: TextSplit;
  readonly test: TextSplit;
  /** Meaning of the class numbers. */
  readonly classes: readonly string[];
}
/** With a part to choose the epoch on. */
export interface TextSplitsWithDev extends TextSplits {
  readonly dev: TextSplit;
}

/** For sets that come in one part: 80 % train, 10 % dev, 10 % test, classes in equal shares. */
export interface SplitSeed extends DatasetOptions {
  /** Which rows go where (default 0). */
  readonly seed?: number;
}

type Encoding = "utf-8" | "latin1";

async function read(source: TextSource, part: string, encoding: Encoding, options: SearchOptions): Promise<string> {
  const file = source.files[part];
  const bytes = await obtainFile(source.folder, file, source.addresses, options);
  return encoding === "utf-8" ? text.decodeUtf8(bytes, file.name) : Buffer.from(bytes).toString("latin1");
}

/** Non-empty lines. Lines end in \n alone: NEL (U+0085) inside old files is text. */
const linesOf = (content: string): string[] => content.split("\n").filter((line) => line.trim() !== "");

function labelled(rows: readonly (readonly [string, number])[], file: string, classes: number): TextSplit {
  const wrong = rows.findIndex(([, y]) => !(Number.isInteger(y) && y >= 0 && y < classes));
  if (wrong >= 0 || rows.length === 0) {
    throw new LayerwiseError(`${file} is not in the form it should have`, {
      code: "D207",
      layer: file,
      received: rows.length === 0 ? "no rows" : `row ${wrong + 1}: ${JSON.stringify(rows[wrong][0].slice(0, 40))}`,
      expected: `a class from 0 to ${classes - 1} and a text in each row`,
    });
  }
  return {
    x: rows.map(([x]) => x),
    y: tensor(
      Uint8Array.from(rows, ([, y]) => y),
      [rows.length],
      "u8",
    ),
  };
}

function inParts(all: TextSplit, seed: number, classes: readonly string[]): TextSplitsWithDev {
  const [train, dev, test] = data.split(all, [0.8, 0.1, 0.1], { seed });
  return { train, dev, test, classes };
}

/** `1 a text` in each line. */
async function spaced(source: TextSource, part: string, encoding: Encoding, classes: number, options: SearchOptions) {
  const lines = linesOf(await read(source, part, encoding, options));
  const rows = lines.map((line) => [line.slice(line.indexOf(" ") + 1).trim(), Number(line.split(" ", 1)[0])] as const);
  return labelled(rows, source.files[part].name, classes);
}

/**
 * Sentences of film reviews (Pang and Lee 2005): 10,662, half of each class; 80/10/10, classes in equal shares. Taken from
 * `LAYERWISE_DATASETS/rt-polarity`, the user's cache, or downloaded (1.2 MB). Throws D201–D207.
 */
export async function rtPolarity(options: SplitSeed = {}): Promise<TextSplitsWithDev> {
  const rows: (readonly [string, number])[] = [];
  for (const [part, label] of [
    ["negative", 0],
    ["positive", 1],
  ] as const) {
    for (const line of linesOf(await read(rtPolaritySource, part, "latin1", options))) rows.push([line.trim(), label]);
  }
  return inParts(labelled(rows, rtPolaritySource.folder, 2), options.seed ?? 0, ["negative", "positive"]);
}

/**
 * The Stanford sentiment treebank with two classes (Socher et al. 2013): 6,920 sentences, 872 to choose the epoch on, 1,821
 * to test. Taken from `LAYERWISE_DATASETS/sst2`, the user's cache, or downloaded (1.0 MB). Throws D201–D207.
 */
export async function sst2(options: DatasetOptions = {}): Promise<TextSplitsWithDev> {
  const part = (name: string) => spaced(sst2Source, name, "utf-8", 2, options);
  const [train, dev, test] = [await part("train"), await part("dev"), await part("test")];
  return { train, dev, test, classes: ["negative", "positive"] };
}

/**
 * Questions by what they ask for (Li and Roth 2002): 5,452 and 500 to test. Taken from `LAYERWISE_DATASETS/trec`, the user's
 * cache, or downloaded (0.3 MB). Throws D201–D207.
 */
export async function trec(options: DatasetOptions = {}): Promise<TextSplits> {
  const part = (name: string) => spaced(trecSource, name, "latin1", 6, options);
  const classes = ["description", "entity", "abbreviation", "human", "location", "number"];
  return { train: await part("train"), test: await part("test"), classes };
}

/**
 * Text messages (Almeida and Hidalgo 2011): 5,574, of which 747 are spam; 80/10/10, classes in equal shares. Taken from
 * `LAYERWISE_DATASETS/sms-spam`, the user's cache, or downloaded (0.5 MB). Throws D201–D207.
 */
export async function smsSpam(options: SplitSeed = {}): Promise<TextSplitsWithDev> {
  const classes = ["ham", "spam"];
  const lines = linesOf(await read(smsSpamSource, "all", "utf-8", options));
  const rows = lines.map((line) => {
    const tab = line.indexOf("\t");
    return [line.slice(tab + 1).trim(), classes.indexOf(line.slice(0, tab).replace("\ufeff", "").trim())] as const;
  });
  return inParts(labelled(rows, smsSpamSource.folder, 2), options.seed ?? 0, classes);
}

/**
 * Chinese hotel reviews (Tan Songbo): 7,766, of which 5,322 are positive; 80/10/10, classes in equal shares. Taken from
 * `LAYERWISE_DATASETS/chnsenticorp-htl`, the user's cache, or downloaded (2.9 MB). Throws D201–D207.
 */
export async function chnSentiCorp(options: SplitSeed = {}): Promise<TextSplitsWithDev> {
  const content = await read(chnSentiCorpSource, "all", "utf-8", options);
  const table = data.parseCsv(content, { name: chnSentiCorpSource.files.all.name, missing: [] });
  const labels = table.strings("label");
  const rows = table.strings("review").map((review, i) => [review ?? "", Number(labels[i])] as const);
  return inParts(labelled(rows, chnSentiCorpSource.folder, 2), options.seed ?? 0, ["negative", "positive"]);
}

/** Shakespeare's plays as one text; the last tenth is for testing. */
export interface PlainText {
  readonly train: string;
  readonly test: string;
}

/**
 * 1,115,394 characters of Shakespeare, 65 distinct ones. Taken from `LAYERWISE_DATASETS/tinyshakespeare`, the user's cache,
 * or downloaded (1.1 MB). Throws D201–D206.
 */
export async function tinyShakespeare(options: DatasetOptions = {}): Promise<PlainText> {
  const all = await read(tinyShakespeareSource, "all", "utf-8", options);
  const at = Math.floor(all.length * 0.9);
  return { train: all.slice(0, at), test: all.slice(at) };
}

/**
 * The byte pairs of GPT-2 (Radford et al. 2019), 50,257 tokens. Taken from `LAYERWISE_DATASETS/tokenizers/gpt2-bpe`, the
 * user's cache, or downloaded (1.5 MB). Throws D201–D206.
 */
export async function gpt2Tokenizer(options: DatasetOptions = {}): Promise<text.BytePairs> {
  const vocabulary = await read(gpt2Source, "vocabulary", "utf-8", options);
  return new text.BytePairs({ vocabulary, merges: await read(gpt2Source, "merges", "utf-8", options) });
}

/** `datasets`: images to train on as u8 tensors, sound, tables and time series as numbers, and texts as strings. */
export { cifar10 } from "./cifar10.ts";
export type { DatasetOptions } from "./files.ts";
export { fashionMnist, mnist, type Split, type Splits } from "./idx-dataset.ts";
export { type Recordings, type SpokenDigits, type SpokenDigitsOptions, spokenDigits } from "./spoken-digits.ts";
export { type SyntheticDigitsOptions, syntheticDigits } from "./synthetic.ts";
export type { TableName } from "./table-sources.ts";
export { type AirlinePassengers, airlinePassengers, type BeijingAir, beijingAir, table } from "./tables.ts";
export {
  chnSentiCorp,
  gpt2Tokenizer,
  type PlainText,
  rtPolarity,
  type SplitSeed,
  smsSpam,
  sst2,
  type TextSplit,
  type TextSplits,
  type TextSplitsWithDev,
  tinyShakespeare,
  trec,
} from "./texts.ts";

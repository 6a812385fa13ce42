/** `data`: sound, tables, time series and sequences as tensors; splitting data sets. */
export { type CsvOptions, type MissingNumber, parseCsv, Table } from "./csv.ts";
export {
  bucketByLength,
  type PaddedBatch,
  type PadOptions,
  paddedBatches,
  padSequences,
  type Sequences,
  sequenceMask,
} from "./sequences.ts";
export { type Rows, type SplitOptions, split, splitRows, takeRows } from "./split.ts";
export { decodeWav, type WavAudio, type WavOptions } from "./wav.ts";
export { type TimeseriesOptions, timeseriesDataset, type Windows } from "./windows.ts";

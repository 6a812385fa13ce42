/** Data: sound, tables and time series as tensors. */
export { type CsvOptions, type MissingNumber, parseCsv, Table } from "./csv.ts";
export { decodeWav, type WavAudio, type WavOptions } from "./wav.ts";
export { type TimeseriesOptions, timeseriesDataset, type Windows } from "./windows.ts";

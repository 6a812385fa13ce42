/** `datasets`: images to train on, as u8 tensors. */
export { cifar10 } from "./cifar10.ts";
export type { DatasetOptions } from "./files.ts";
export { fashionMnist, mnist, type Split, type Splits } from "./idx-dataset.ts";
export { type SyntheticDigitsOptions, syntheticDigits } from "./synthetic.ts";

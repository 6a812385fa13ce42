/** Layers on images: sizes, and random changes in training. */
export * from "./random-color.ts";
export { RandomCrop, type RandomCropOptions, randomCrop } from "./random-crop.ts";
export { RandomFlip, type RandomFlipOptions, randomFlip } from "./random-flip.ts";
export * from "./random-transform.ts";
export {
  CenterCrop,
  type CenterCropOptions,
  centerCrop,
  Resizing,
  type ResizingOptions,
  resizing,
} from "./resizing.ts";

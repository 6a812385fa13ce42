/** Functions on images, as keras.ops.image. */
export { hsvToRgb, rgbToGrayscale, rgbToHsv } from "./color.ts";
export { affineTransform, type FillMode, mapCoordinates, type TransformOptions } from "./coordinates.ts";
export { cropImages, type EdgeOptions, extractPatches, gaussianBlur, padImages } from "./frame.ts";
export { perspectiveTransform } from "./perspective.ts";
export { type Interpolation, type ResizeOptions, resize } from "./resize.ts";
export { type ScaleMethod, scaleAndTranslate } from "./scale.ts";

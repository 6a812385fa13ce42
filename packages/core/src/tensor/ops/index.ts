/** Functions on tensors, with Keras' names in camelCase; all lazy, all differentiable where mathematics allows. */
export * from "./activations.ts";
export { adaptiveAveragePool, adaptiveMaxPool } from "./adaptive-pool.ts";
export * from "./control.ts";
export { averagePool, conv, convTranspose, type DataFormat, depthwiseConv, maxPool, separableConv } from "./conv.ts";
export * from "./elementwise.ts";
export { type Complex, fft, fft2, ifft, ifft2, irfft, rfft } from "./fourier.ts";
export { extractSequences, istft, overlapAdd, stft } from "./frames.ts";
export * as image from "./image/index.ts";
export * from "./linalg.ts";
export * from "./nn.ts";
export * from "./order.ts";
export { promoteDtypes } from "./promote.ts";
export * from "./reduce.ts";
export * from "./shape.ts";
export type { Window, WindowName } from "./windows.ts";

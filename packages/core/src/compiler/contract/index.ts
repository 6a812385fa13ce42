/** Contractions: matrix products and convolutions lowered to LoopIR. */
export { lowerConv, lowerConvInputGrad } from "./conv.ts";
export { lowerDot, writesRows } from "./dot.ts";
export { lowerConvKernelGrad } from "./kernelgrad.ts";

/** Winograd's algorithm for 3×3 convolutions of stride 1. */
export { winogradForward } from "./forward.ts";
export { winogradInputGrad } from "./inputgrad.ts";
export { winogradKernelGrad } from "./kernelgrad.ts";
export { winogradTile } from "./rule.ts";

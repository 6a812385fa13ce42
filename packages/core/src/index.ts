/** Everything public of @layerwise/core. */
export * as activations from "./activations/index.ts";
export * as callbacks from "./callbacks/index.ts";
export { Callback, History } from "./callbacks/index.ts";
export {
  bool,
  defineSpec,
  describeSpec,
  Field,
  int,
  type Json,
  type KerasObject,
  list,
  number,
  type OptionsOf,
  object,
  oneOf,
  registerClass,
  type Spec,
  string,
  tuple,
} from "./config/index.ts";
export * as constraints from "./constraints/index.ts";
export * as data from "./data/index.ts";
export { type ErrorDetails, LayerwiseError } from "./errors.ts";
export { type GenerateOptions, Generation, generate } from "./generation/index.ts";
export type { DType, Shape, TypedArray } from "./graph/types.ts";
export * as initializers from "./initializers/index.ts";
export * as layers from "./layers/index.ts";
export { input, Layer } from "./layers/index.ts";
export { resetNames } from "./layers/names.ts";
export { SymbolicTensor } from "./layers/symbolic.ts";
export * as losses from "./losses/index.ts";
export * as metrics from "./metrics/index.ts";
export { Functional, functional, layerFromConfig, Model, Sequential, sequential } from "./models/index.ts";
export * as optimizers from "./optimizers/index.ts";
export * as regularizers from "./regularizers/index.ts";
export * as schedules from "./schedules/index.ts";
export { configure, currentSettings, type Settings } from "./tensor/config.ts";
export type { DeviceOptions, DeviceProvider } from "./tensor/device.ts";
export { activeDevice, provideNative } from "./tensor/device.ts";
export { customGradient, grad, jit, stopGradient, valueAndGrad } from "./tensor/functions.ts";
export * as ops from "./tensor/ops/index.ts";
export * as random from "./tensor/random.ts";
export { type NestedStrings, StringTensor } from "./tensor/string-tensor.ts";
export { type NestedNumbers, Tensor, type TensorLike, tensor } from "./tensor/tensor.ts";
export type { Tree } from "./tensor/tree.ts";
export { Variable } from "./tensor/variable.ts";
export * as text from "./text/index.ts";
export type { DataTree } from "./training/data.ts";
export type { CompileOptions, EvaluateOptions, FitOptions, Logs, PredictOptions } from "./training/options.ts";
export { ProgressLine } from "./training/progress.ts";

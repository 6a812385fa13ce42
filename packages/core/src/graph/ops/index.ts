/** All functions that build graphs, and the records of the ops they apply. */

export type { Vjp } from "./alias.ts";
export {
  alias,
  aliasOp,
  customGradient,
  customGradientOp,
  stopGradient,
  stopGradientOp,
} from "./alias.ts";
export type { PadAttrs } from "./assemble.ts";
export { concat, concatOp, dilate, pad, padInterior, padOp } from "./assemble.ts";
export {
  add,
  addOp,
  atan2,
  atan2Op,
  bitwiseAnd,
  bitwiseAndOp,
  bitwiseOr,
  bitwiseOrOp,
  bitwiseXor,
  bitwiseXorOp,
  div,
  divOp,
  equal,
  equalOp,
  greater,
  greaterEqual,
  greaterEqualOp,
  greaterOp,
  less,
  lessEqual,
  lessEqualOp,
  lessOp,
  logicalAnd,
  logicalAndOp,
  logicalOr,
  logicalOrOp,
  logicalXor,
  logicalXorOp,
  maximum,
  maximumOp,
  minimum,
  minimumOp,
  mod,
  modOp,
  mul,
  mulOp,
  nextAfter,
  nextAfterOp,
  notEqual,
  notEqualOp,
  pow,
  powOp,
  rem,
  remOp,
  shiftLeft,
  shiftLeftOp,
  shiftRight,
  shiftRightOp,
  sub,
  subOp,
} from "./binary.ts";
export type { CondAttrs, WhileAttrs } from "./branch.ts";
export { cond, condOp, whileLoop, whileOp } from "./branch.ts";
export type { CastAttrs } from "./cast.ts";
export { bitcast, bitcastOp, cast, castOp } from "./cast.ts";
export { full, fullLike } from "./common.ts";
export type { DotAttrs } from "./contract.ts";
export { dotGeneral, dotGeneralOp, matmul2d } from "./contract.ts";
export type { ConvAttrs, ConvOptions } from "./conv.ts";
export {
  conv,
  convInputGrad,
  convInputGradOp,
  convKernelGrad,
  convKernelGradOp,
  convOp,
  convOutputSpatial,
} from "./conv.ts";
export { cumProd, cumProdOp, cumSum, cumSumOp } from "./cumulative.ts";
export type { DynamicSliceAttrs } from "./dynamic.ts";
export { dynamicSlice, dynamicSliceOp, dynamicUpdateSlice, dynamicUpdateSliceOp } from "./dynamic.ts";
export type { GatherAttrs, ScatterAttrs } from "./gather.ts";
export {
  gather,
  gatherNd,
  gatherOp,
  largeTable,
  scatterAdd,
  scatterAddAlongAxis,
  scatterAddAlongAxisOp,
  scatterAddOp,
  scatterNd,
  takeAlongAxis,
  takeAlongAxisOp,
} from "./gather.ts";
export type { IotaAttrs } from "./iota.ts";
export { iota, iotaOp } from "./iota.ts";
export type { PoolAttrs, PoolGradAttrs } from "./pool.ts";
export {
  avgPool,
  avgPoolGrad,
  avgPoolGradOp,
  avgPoolOp,
  maxPool,
  maxPoolGrad,
  maxPoolGradOp,
  maxPoolOp,
  maxPoolPlaces,
  maxPoolSelect,
  maxPoolSelectOp,
  poolOutputSpatial,
} from "./pool.ts";
export * as random from "./random.ts";
export { randomBits, randomBitsOp, threefryOp } from "./random.ts";
export type { ReduceAttrs } from "./reduce.ts";
export {
  argMax,
  argMin,
  reduceMax,
  reduceMaxOp,
  reduceMin,
  reduceMinOp,
  reduceProd,
  reduceProdOp,
  reduceSum,
  reduceSumOp,
} from "./reduce.ts";
export type { ScanAttrs, ScanOptions } from "./scan.ts";
export { scan, scanOp } from "./scan.ts";
export { select, selectOp } from "./select.ts";
export { argSortOp, sort, topK } from "./sort.ts";
export * from "./source.ts";
export {
  abs,
  absOp,
  acos,
  acosh,
  acoshOp,
  acosOp,
  asin,
  asinh,
  asinhOp,
  asinOp,
  atan,
  atanh,
  atanhOp,
  atanOp,
  bitwiseNot,
  bitwiseNotOp,
  ceil,
  ceilOp,
  cos,
  cosh,
  coshOp,
  cosOp,
  erf,
  erfOp,
  exp,
  expm1,
  expm1Op,
  expOp,
  floor,
  floorOp,
  isFinite,
  isFiniteOp,
  isInf,
  isInfOp,
  isNan,
  isNanOp,
  log,
  log1p,
  log1pOp,
  logicalNot,
  logicalNotOp,
  logOp,
  neg,
  negOp,
  onesLike,
  relu,
  reluOp,
  round,
  roundOp,
  rsqrt,
  rsqrtOp,
  sigmoid,
  sigmoidOp,
  sign,
  signOp,
  sin,
  sinh,
  sinhOp,
  sinOp,
  sqrt,
  sqrtOp,
  tan,
  tanh,
  tanhOp,
  tanOp,
  trunc,
  truncOp,
  zerosLike,
} from "./unary.ts";
export type { SliceAttrs } from "./view.ts";
export {
  broadcastOp,
  broadcastTo,
  reshape,
  reshapeAccess,
  reshapeOp,
  reverse,
  reverseOp,
  slice,
  sliceOp,
  sumTo,
  transpose,
  transposeOp,
} from "./view.ts";

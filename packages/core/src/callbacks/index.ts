/** Callbacks: what watches and steers training. */
export { Callback, type FitParams } from "./callback.ts";
export { CSVLogger, csvLogger } from "./csv-logger.ts";
export { EarlyStopping, type EarlyStoppingOptions, earlyStopping } from "./early-stopping.ts";
export { History } from "./history.ts";
export { LambdaCallback, type LambdaCallbackOptions, lambdaCallback } from "./lambda-callback.ts";
export { LearningRateScheduler, learningRateScheduler } from "./learning-rate-scheduler.ts";
export { ReduceLROnPlateau, type ReduceLROnPlateauOptions, reduceLROnPlateau } from "./reduce-lr-on-plateau.ts";
export { TerminateOnNaN, terminateOnNaN } from "./terminate-on-nan.ts";

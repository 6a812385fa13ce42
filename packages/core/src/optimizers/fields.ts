/** The options that all optimizers share, with Keras' names and meanings. */
import { bool, either, int, number, object, string } from "../config/index.ts";
import { type Schedule, type ScheduleName, scheduleRegistry } from "../schedules/index.ts";

/** `learningRate` and `weightDecay` are the class's defaults. */
export function optimizerFields(learningRate = 0.001, weightDecay: number | null = null) {
  return {
    learningRate: either(
      number({ min: 0 }),
      object<Schedule, ScheduleName>(() => scheduleRegistry),
    )
      .default(learningRate)
      .doc("a number, or a schedule"),
    weightDecay: number({ min: 0 })
      .nullable()
      .default(weightDecay)
      .doc("each step first takes this share times the learning rate from the weights"),
    clipnorm: number({ above: 0 }).nullable().doc("largest norm of the gradient of each variable"),
    globalClipnorm: number({ above: 0 }).nullable().doc("largest norm of all gradients together"),
    clipvalue: number({ above: 0 }).nullable().doc("largest absolute value in a gradient"),
    useEma: bool().default(false).doc("whether a moving average of the weights is kept"),
    emaMomentum: number({ min: 0, max: 1 }).default(0.99),
    emaOverwriteFrequency: int({ min: 1 })
      .nullable()
      .doc("the weights become their average every so many steps; null: only at the end of training"),
    lossScaleFactor: number({ above: 0 })
      .nullable()
      .doc("what the loss was multiplied by; gradients are divided by it"),
    gradientAccumulationSteps: int({ min: 2 }).nullable().doc("gradients of so many steps are averaged for one update"),
    name: string().nullable(),
  };
}

/** Values of the shared options. */
export interface CommonOptions {
  readonly learningRate: number | Schedule;
  readonly weightDecay: number | null;
  readonly clipnorm: number | null;
  readonly globalClipnorm: number | null;
  readonly clipvalue: number | null;
  readonly useEma: boolean;
  readonly emaMomentum: number;
  readonly emaOverwriteFrequency: number | null;
  readonly lossScaleFactor: number | null;
  readonly gradientAccumulationSteps: number | null;
  readonly name: string | null;
}

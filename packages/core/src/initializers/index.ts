/** Initializers: how weights start. */
import { object, Registry } from "../config/index.ts";
import { Constant, Identity, Ones, Zeros } from "./constant.ts";
import { Initializer } from "./initializer.ts";
import { Orthogonal } from "./orthogonal.ts";
import { RandomNormal, RandomUniform, TruncatedNormal } from "./random.ts";
import { STFT } from "./stft.ts";
import {
  GlorotNormal,
  GlorotUniform,
  HeNormal,
  HeUniform,
  LecunNormal,
  LecunUniform,
  VarianceScaling,
} from "./variance-scaling.ts";

export { computeFans, Initializer } from "./initializer.ts";
export {
  Constant,
  GlorotNormal,
  GlorotUniform,
  HeNormal,
  HeUniform,
  Identity,
  LecunNormal,
  LecunUniform,
  Ones,
  Orthogonal,
  RandomNormal,
  RandomUniform,
  STFT,
  TruncatedNormal,
  VarianceScaling,
  Zeros,
};

const classes = {
  zeros: Zeros,
  ones: Ones,
  constant: Constant,
  identity: Identity,
  randomUniform: RandomUniform,
  randomNormal: RandomNormal,
  truncatedNormal: TruncatedNormal,
  varianceScaling: VarianceScaling,
  glorotUniform: GlorotUniform,
  glorotNormal: GlorotNormal,
  heUniform: HeUniform,
  heNormal: HeNormal,
  lecunUniform: LecunUniform,
  lecunNormal: LecunNormal,
  orthogonal: Orthogonal,
  stft: STFT,
};

export type InitializerName = keyof typeof classes;

/** All initializers by name. */
export const initializerRegistry: Registry<Initializer, InitializerName> = new Registry<Initializer, InitializerName>(
  "initializer",
  classes,
  (x): x is Initializer => x instanceof Initializer,
  {
    zero: Zeros,
    one: Ones,
    uniform: RandomUniform,
    normal: RandomNormal,
    eye: Identity,
    IdentityInitializer: Identity,
    OrthogonalInitializer: Orthogonal,
    STFTInitializer: STFT,
  },
);

/** An option that takes an initializer. */
export const initializerField = () => object(() => initializerRegistry);

type O<C extends abstract new (...args: never) => unknown> = ConstructorParameters<C>[0];
export const zeros = () => new Zeros();
export const ones = () => new Ones();
export const constant = (value = 0) => new Constant({ value });
export const identity = (options?: O<typeof Identity>) => new Identity(options);
export const randomUniform = (options?: O<typeof RandomUniform>) => new RandomUniform(options);
export const randomNormal = (options?: O<typeof RandomNormal>) => new RandomNormal(options);
export const truncatedNormal = (options?: O<typeof TruncatedNormal>) => new TruncatedNormal(options);
export const varianceScaling = (options?: O<typeof VarianceScaling>) => new VarianceScaling(options);
export const glorotUniform = (options?: O<typeof GlorotUniform>) => new GlorotUniform(options);
export const glorotNormal = (options?: O<typeof GlorotNormal>) => new GlorotNormal(options);
export const heUniform = (options?: O<typeof HeUniform>) => new HeUniform(options);
export const heNormal = (options?: O<typeof HeNormal>) => new HeNormal(options);
export const lecunUniform = (options?: O<typeof LecunUniform>) => new LecunUniform(options);
export const lecunNormal = (options?: O<typeof LecunNormal>) => new LecunNormal(options);
export const orthogonal = (options?: O<typeof Orthogonal>) => new Orthogonal(options);
export const stft = (options?: O<typeof STFT>) => new STFT(options);

/** Initializers without chance: zeros, ones, constant, identity. */
import { defineSpec, number, type OptionsOf } from "../config/index.ts";
import { formatShape, LayerwiseError } from "../errors.ts";
import { type Shape, sizeOf } from "../graph/types.ts";
import { Initializer } from "./initializer.ts";

const zerosSpec = defineSpec("keras.initializers", "Zeros", {});
/** All zeros. */
export class Zeros extends Initializer<typeof zerosSpec> {
  static readonly spec = zerosSpec;
  constructor(options: OptionsOf<typeof zerosSpec> = {}) {
    super(zerosSpec, options);
  }
  values(shape: Shape): Float32Array {
    return new Float32Array(sizeOf(shape));
  }
}

const onesSpec = defineSpec("keras.initializers", "Ones", {});
/** All ones. */
export class Ones extends Initializer<typeof onesSpec> {
  static readonly spec = onesSpec;
  constructor(options: OptionsOf<typeof onesSpec> = {}) {
    super(onesSpec, options);
  }
  values(shape: Shape): Float32Array {
    return new Float32Array(sizeOf(shape)).fill(1);
  }
}

const constantSpec = defineSpec("keras.initializers", "Constant", {
  value: number().default(0).doc("the value of every element"),
});
/** One value everywhere. */
export class Constant extends Initializer<typeof constantSpec> {
  static readonly spec = constantSpec;
  constructor(options: OptionsOf<typeof constantSpec> = {}) {
    super(constantSpec, options);
  }
  values(shape: Shape): Float32Array {
    return new Float32Array(sizeOf(shape)).fill(this.options.value);
  }
}

const identitySpec = defineSpec("keras.initializers", "Identity", {
  gain: number().default(1).doc("the value on the diagonal"),
});
/** `gain` on the diagonal of a matrix, zero elsewhere. */
export class Identity extends Initializer<typeof identitySpec> {
  static readonly spec = identitySpec;
  constructor(options: OptionsOf<typeof identitySpec> = {}) {
    super(identitySpec, options);
  }
  values(shape: Shape): Float32Array {
    if (shape.length !== 2) {
      throw new LayerwiseError("the identity initializer makes matrices only", {
        code: "E103",
        received: formatShape(shape),
        expected: "a shape of rank 2",
      });
    }
    const [rows, columns] = shape;
    const out = new Float32Array(rows * columns);
    for (let i = 0; i < Math.min(rows, columns); i++) out[i * columns + i] = this.options.gain;
    return out;
  }
}

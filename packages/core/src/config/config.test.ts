import { describe, expect, expectTypeOf, it } from "vitest";
import {
  bool,
  Configured,
  defineSpec,
  int,
  number,
  type OptionsOf,
  object,
  oneOf,
  Registry,
  readConfig,
  readOptions,
  registerClass,
  snakeClassName,
  toCamel,
  toSnake,
  tuple,
} from "./index.ts";

const l2Spec = defineSpec("keras.regularizers", "L2", { l2: number({ min: 0 }).default(0.01) });
class L2 extends Configured<typeof l2Spec> {
  static readonly spec = l2Spec;
  constructor(options: OptionsOf<typeof l2Spec> = {}) {
    super(l2Spec, options);
  }
}
const registry = new Registry("regularizer", { l2: L2 }, (x): x is L2 => x instanceof L2);

const convSpec = defineSpec("keras.layers", "Conv2D", {
  filters: int({ min: 1 }),
  kernelSize: tuple(2),
  useBias: bool().default(true),
  padding: oneOf("valid", "same").default("valid"),
  dataFormat: oneOf("channelsLast", "channelsFirst").default("channelsLast"),
  kernelRegularizer: object(() => registry).nullable(),
  beta1: number().default(0.9).as("beta_1"),
});

describe("config", () => {
  it("reads options, fills defaults and infers types", () => {
    const o = readOptions(convSpec, { filters: 8, kernelSize: 3, kernelRegularizer: "l2" });
    expect(o).toMatchObject({ filters: 8, kernelSize: [3, 3], useBias: true, padding: "valid" });
    expect(o.kernelRegularizer).toBeInstanceOf(L2);
    expectTypeOf(o.padding).toEqualTypeOf<"valid" | "same">();
    expectTypeOf<OptionsOf<typeof convSpec>["useBias"]>().toEqualTypeOf<boolean | undefined>();
  });
  it("refuses unknown options and names with the nearest one", () => {
    expect(() => readOptions(convSpec, { filters: 8, kernelSize: 3, kernel_size: 3 } as never)).toThrow(/"kernelSize"/);
    expect(() => readOptions(convSpec, { filters: 8, kernelSize: 3, padding: "sam" as never })).toThrow(
      /did you mean "same"/,
    );
    expect(() => readOptions(convSpec, { filters: 8, kernelSize: 3, kernelRegularizer: "l3" as never })).toThrow(
      /"l2"/,
    );
  });
  it("refuses invalid and missing values", () => {
    expect(() => readOptions(convSpec, { filters: 0, kernelSize: 3 })).toThrow(/received\s+0[\s\S]*integer ≥ 1/);
    expect(() => readOptions(convSpec, { filters: 1.5, kernelSize: 3 })).toThrow(/E202/);
    expect(() => readOptions(convSpec, { filters: 1, kernelSize: [3, 3, 3] })).toThrow(/kernelSize/);
    expect(() => readOptions(convSpec, { kernelSize: 3 } as never)).toThrow(/needs the option "filters"/);
  });
  it("round-trips through Keras configs, with snake_case names and strings", () => {
    class Conv extends Configured<typeof convSpec> {
      static readonly spec = convSpec;
      constructor(options: OptionsOf<typeof convSpec>) {
        super(convSpec, options);
      }
    }
    const conv = new Conv({
      filters: 2,
      kernelSize: [1, 2],
      dataFormat: "channelsFirst",
      kernelRegularizer: new L2({ l2: 0.5 }),
    });
    const saved = conv.toConfig();
    expect(saved).toEqual({
      module: "keras.layers",
      class_name: "Conv2D",
      registered_name: null,
      config: {
        filters: 2,
        kernel_size: [1, 2],
        use_bias: true,
        padding: "valid",
        data_format: "channels_first",
        kernel_regularizer: {
          module: "keras.regularizers",
          class_name: "L2",
          config: { l2: 0.5 },
          registered_name: null,
        },
        beta_1: 0.9,
      },
    });
    const again = new Conv(readConfig(convSpec, { ...saved.config, quantization_config: null }));
    expect(again.toConfig()).toEqual(saved);
    expect(again.options.kernelRegularizer?.options.l2).toBe(0.5);
  });
  it("writes and finds custom classes by their registered name", () => {
    class Mine extends L2 {
      static override readonly spec = defineSpec("keras.regularizers", "Mine", l2Spec.fields) as typeof l2Spec;
    }
    registerClass(Mine as never, "pkg");
    expect(new Mine().toConfig().registered_name).toBe("pkg>Mine");
    const back = registry.fromConfig({ class_name: "Mine", registered_name: "pkg>Mine", config: { l2: 3 } });
    expect(back).toBeInstanceOf(Mine);
  });
  it("spells as Keras does", () => {
    expect(toSnake("kernelSize")).toBe("kernel_size");
    expect(toCamel("beta_1")).toBe("beta1");
    expect(
      ["Conv2DTranspose", "LSTM", "GRUCell", "MultiHeadAttention", "ReLU", "GlobalAveragePooling2D"].map(
        snakeClassName,
      ),
    ).toEqual(["conv2d_transpose", "lstm", "gru_cell", "multi_head_attention", "re_lu", "global_average_pooling2d"]);
  });
});

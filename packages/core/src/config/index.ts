/** Options and configuration: specs, fields, registries. */
export { type Configurable, Configured, type KerasObject, serialized } from "./configured.ts";
export {
  axes,
  bool,
  either,
  Field,
  int,
  type Json,
  json,
  list,
  number,
  oneOf,
  shape,
  show,
  string,
  tuple,
} from "./field.ts";
export { foldName, matchName, snakeClassName, toCamel, toSnake } from "./names.ts";
export { object, type RegisteredClass, Registry, registerClass, type SavedObject } from "./registry.ts";
export {
  defineSpec,
  describeSpec,
  type Fields,
  type OptionsOf,
  readConfig,
  readOptions,
  type Spec,
  type ValuesOf,
  writeConfig,
} from "./spec.ts";

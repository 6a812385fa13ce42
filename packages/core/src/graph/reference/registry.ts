/** Reference semantics of all ops by name: one line per family file. */
import { references as alias } from "../ops/alias.ts";
import { references as assemble } from "../ops/assemble.ts";
import { references as binary } from "../ops/binary.ts";
import { references as branch } from "../ops/branch.ts";
import { references as cast } from "../ops/cast.ts";
import { references as contract } from "../ops/contract.ts";
import { references as conv } from "../ops/conv.ts";
import { references as cumulative } from "../ops/cumulative.ts";
import { references as dynamic } from "../ops/dynamic.ts";
import { references as gather } from "../ops/gather.ts";
import { references as iota } from "../ops/iota.ts";
import { references as pool } from "../ops/pool.ts";
import { references as random } from "../ops/random.ts";
import { references as reduce } from "../ops/reduce.ts";
import { references as scan } from "../ops/scan.ts";
import { references as select } from "../ops/select.ts";
import { references as sort } from "../ops/sort.ts";
import { references as unary } from "../ops/unary.ts";
import { references as view } from "../ops/view.ts";
import type { Reference } from "./array.ts";

const families = [
  alias,
  assemble,
  binary,
  branch,
  cast,
  contract,
  conv,
  cumulative,
  dynamic,
  gather,
  iota,
  pool,
  random,
  reduce,
  scan,
  select,
  sort,
  unary,
  view,
];

// biome-ignore lint/suspicious/noExplicitAny: attrs are private to each op.
export const references: ReadonlyMap<string, Reference<any>> = new Map(
  families.flatMap((family) => Object.entries(family)),
);

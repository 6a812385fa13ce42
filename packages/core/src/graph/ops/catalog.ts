/** Every op with what stands beside its record: for the op suite and the documentation, never for programs. */
import type { OpRecord } from "../node.ts";
import type { Reference } from "../reference/array.ts";
import * as alias from "./alias.ts";
import * as assemble from "./assemble.ts";
import * as binary from "./binary.ts";
import * as branch from "./branch.ts";
import * as cast from "./cast.ts";
import * as contract from "./contract.ts";
import * as conv from "./conv.ts";
import * as cumulative from "./cumulative.ts";
import * as dynamic from "./dynamic.ts";
import * as gather from "./gather.ts";
import * as iota from "./iota.ts";
import * as pool from "./pool.ts";
import * as random from "./random.ts";
import * as reduce from "./reduce.ts";
import type { Sample, Samples } from "./sample.ts";
import * as scan from "./scan.ts";
import * as select from "./select.ts";
import * as sort from "./sort.ts";
import * as unary from "./unary.ts";
import * as view from "./view.ts";

/** The common form of a family's module: records (exports named …Op) and three tables by op name. */
interface Family {
  // biome-ignore lint/suspicious/noExplicitAny: attrs are private to each op.
  readonly references: Record<string, Reference<any>>;
  readonly docs: Record<string, string>;
  readonly samples: Samples;
}

const families: Record<string, Family> = {
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
};

export interface CatalogEntry {
  readonly family: string;
  readonly record: OpRecord;
  // biome-ignore lint/suspicious/noExplicitAny: attrs are private to each op.
  readonly reference: Reference<any> | undefined;
  readonly docs: string | undefined;
  readonly samples: (() => readonly Sample[]) | undefined;
}

/** All ops, by family and in the order of their names. */
export function catalog(): CatalogEntry[] {
  return Object.entries(families).flatMap(([family, module]) =>
    Object.entries(module)
      .filter(([name]) => name.endsWith("Op"))
      .map(([, value]) => value as unknown as OpRecord)
      .sort((a, b) => (a.name < b.name ? -1 : 1))
      .map((record) => ({
        family,
        record,
        reference: module.references[record.name],
        docs: module.docs[record.name],
        samples: module.samples[record.name],
      })),
  );
}

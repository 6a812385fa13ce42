/** Trees: values nested in arrays and records. A single leaf is the simplest tree. */

export type Tree<T> = T | readonly Tree<T>[] | { readonly [key: string]: Tree<T> };

/** The shape of a tree without its leaves; equal structures have equal `key`. */
export interface TreeSpec {
  readonly key: string;
  readonly build: <T>(leaves: readonly T[]) => Tree<T>;
}

/** Takes a tree apart, depth first, records in insertion order. `isLeaf` decides what counts as a leaf. */
export function flattenTree<T>(tree: Tree<T>, isLeaf: (x: unknown) => x is T): { leaves: T[]; spec: TreeSpec } {
  const leaves: T[] = [];
  const visit = (x: unknown): { key: string; build: (take: () => unknown) => unknown } => {
    if (isLeaf(x)) {
      leaves.push(x);
      return { key: "*", build: (take) => take() };
    }
    if (Array.isArray(x)) {
      const parts = x.map(visit);
      return { key: `[${parts.map((p) => p.key).join(",")}]`, build: (take) => parts.map((p) => p.build(take)) };
    }
    if (x !== null && typeof x === "object") {
      const parts = Object.entries(x).map(([k, v]) => [k, visit(v)] as const);
      return {
        key: `{${parts.map(([k, p]) => `${JSON.stringify(k)}:${p.key}`).join(",")}}`,
        build: (take) => Object.fromEntries(parts.map(([k, p]) => [k, p.build(take)])),
      };
    }
    return { key: JSON.stringify(x) ?? "undefined", build: () => x };
  };
  const root = visit(tree);
  return {
    leaves,
    spec: {
      key: root.key,
      build: <U>(values: readonly U[]) => {
        let next = 0;
        return root.build(() => values[next++]) as Tree<U>;
      },
    },
  };
}

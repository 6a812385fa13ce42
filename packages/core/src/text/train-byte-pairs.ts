/** Learning merges: the most frequent pair of neighbouring tokens becomes a token, again and again. */

interface Word {
  /** Bytes at first; merged in place. */
  ids: number[];
  readonly count: number;
}

interface Pair {
  readonly a: number;
  readonly b: number;
  count: number;
  /** Words that held the pair at some time. */
  readonly words: Set<number>;
}

const keyOf = (a: number, b: number) => a * 2 ** 21 + b;

/**
 * Pairs in the order of their merges; token 256 + k is the k-th. Only words with the merged pair are touched, and pairs lie
 * in buckets by count, so that training takes time about in proportion to the text's distinct words.
 */
export function trainMerges(words: Word[], size: number, minFrequency: number): [number, number][] {
  const pairs = new Map<number, Pair>();
  /** Pairs by count. */
  const buckets = new Map<number, Set<Pair>>();
  let top = 0;
  const file = (p: Pair) => {
    const bucket = buckets.get(p.count);
    if (bucket) bucket.add(p);
    else buckets.set(p.count, new Set([p]));
    top = Math.max(top, p.count);
  };
  const change = (a: number, b: number, by: number, word: number) => {
    const key = keyOf(a, b);
    let p = pairs.get(key);
    if (!p) {
      p = { a, b, count: 0, words: new Set() };
      pairs.set(key, p);
    } else buckets.get(p.count)?.delete(p);
    p.count += by;
    if (by > 0) p.words.add(word);
    if (p.count > 0) file(p);
  };
  words.forEach(({ ids, count }, w) => {
    for (let i = 0; i + 1 < ids.length; i++) change(ids[i], ids[i + 1], count, w);
  });
  const merges: [number, number][] = [];
  while (256 + merges.length < size) {
    while (top > 0 && (buckets.get(top)?.size ?? 0) === 0) top--;
    if (top < minFrequency || top === 0) break;
    // Of equally frequent pairs, the one that reached the count first.
    const [best] = buckets.get(top)!;
    const { a, b } = best;
    const made = 256 + merges.length;
    merges.push([a, b]);
    for (const w of [...best.words]) {
      const { ids, count } = words[w];
      const out: number[] = [];
      for (let i = 0; i < ids.length; i++) {
        if (ids[i] !== a || ids[i + 1] !== b) {
          out.push(ids[i]);
          continue;
        }
        out.push(made);
        i++;
      }
      if (out.length === ids.length) continue;
      for (let i = 0; i + 1 < ids.length; i++) change(ids[i], ids[i + 1], -count, w);
      for (let i = 0; i + 1 < out.length; i++) change(out[i], out[i + 1], count, w);
      words[w].ids = out;
    }
  }
  return merges;
}

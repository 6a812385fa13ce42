/** A binary heap of numbers: the smallest first. */
export class Heap {
  private readonly keys: number[] = [];

  get size(): number {
    return this.keys.length;
  }
  push(key: number): void {
    const { keys } = this;
    let i = keys.length;
    keys.push(key);
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (keys[parent] <= key) break;
      keys[i] = keys[parent];
      i = parent;
    }
    keys[i] = key;
  }
  /** Removes and returns the smallest. The heap must not be empty. */
  pop(): number {
    const { keys } = this;
    const top = keys[0];
    const last = keys.pop()!;
    const n = keys.length;
    if (n === 0) return top;
    let i = 0;
    for (let child = 1; child < n; child = 2 * i + 1) {
      if (child + 1 < n && keys[child + 1] < keys[child]) child++;
      if (keys[child] >= last) break;
      keys[i] = keys[child];
      i = child;
    }
    keys[i] = last;
    return top;
  }
}

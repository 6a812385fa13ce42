/** Giving way: lets timers, input and Ctrl-C through while a long loop runs. */

/** Longest time between two macrotasks, in milliseconds. */
const slice = 16;

const macrotask: (f: () => void) => void = (() => {
  const { setImmediate: immediate } = globalThis as { setImmediate?: (f: () => void) => void };
  if (immediate) return immediate;
  if (typeof MessageChannel === "undefined") return (f) => setTimeout(f, 0);
  const channel = new MessageChannel();
  const queue: (() => void)[] = [];
  channel.port1.onmessage = () => queue.shift()?.();
  return (f) => {
    queue.push(f);
    channel.port2.postMessage(null);
  };
})();

/** Tells when it is time to give way, and does so. */
export class Yielder {
  private last = performance.now();
  /** Whether 16 ms have passed since the last macrotask; cheap enough for every step. */
  due(now: number): boolean {
    return now - this.last >= slice;
  }
  async yield(): Promise<void> {
    await new Promise<void>((resolve) => macrotask(resolve));
    this.last = performance.now();
  }
}

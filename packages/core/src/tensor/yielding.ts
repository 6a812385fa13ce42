/** Giving way: lets timers, input and Ctrl-C through while a long loop runs. */

/** Longest time between two macrotasks, in milliseconds. */
const slice = 16;

/** Runs `f` as a macrotask. A channel lives only until its message: an open port would keep the process alive. */
function macrotask(f: () => void): void {
  const { setImmediate: immediate } = globalThis as { setImmediate?: (f: () => void) => void };
  if (immediate) immediate(f);
  else if (typeof MessageChannel === "undefined") setTimeout(f, 0);
  else {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      f();
    };
    port2.postMessage(null);
  }
}

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

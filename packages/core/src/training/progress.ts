/** The training line: one live line on a terminal, one plain line per epoch elsewhere. Pure text; the caller gives the way out. */

/** Logs in the order they are shown, keys as in Keras (`loss`, `accuracy`, `val_loss`). */
export type ProgressLogs = Readonly<Record<string, number>>;

export interface ProgressOptions {
  /** Takes text with its line breaks and control characters. */
  readonly write: (text: string) => void;
  /** True where "\r" goes back to the start of the line: a terminal. */
  readonly isTty: boolean;
  /** 0: nothing; 1: live line on a terminal (default); 2: one line per epoch everywhere. */
  readonly verbose?: 0 | 1 | 2;
  /** Whether escape sequences for colour may be used (default: `isTty`). */
  readonly color?: boolean;
  /** Width of the terminal now; a live line that wraps could not be redrawn. */
  readonly columns?: () => number | undefined;
  /** Milliseconds that only grow (default `performance.now`). */
  readonly now?: () => number;
}

/** Milliseconds between two drawings of the live line. */
const interval = 100;
const barWidth = 20;

/**
 * ```
 * Epoch 3/10 ━━━━━━━━━━━━━━━━━━━━ 412/938 0:07 14 ms/step  loss 0.2143  accuracy 0.9361
 * Epoch 3/10 938/938 13.2 s  loss 0.2051  accuracy 0.9388  val_loss 0.1820  val_accuracy 0.9463 ★
 * ```
 * The first form is redrawn at most ten times a second and replaced by the second when the epoch ends.
 */
export class ProgressLine {
  private readonly out: ProgressOptions;
  private readonly live: boolean;
  private readonly silent: boolean;
  private readonly now: () => number;
  private label = "";
  private steps: number | undefined;
  private drawnAt = Number.NEGATIVE_INFINITY;
  private open = false;
  private lowest = Number.POSITIVE_INFINITY;

  constructor(options: ProgressOptions) {
    const verbose = options.verbose ?? 1;
    this.out = options;
    this.silent = verbose === 0;
    this.live = verbose === 1 && options.isTty;
    this.now = options.now ?? (() => performance.now());
  }

  /** Epochs count from 1. `steps` is undefined where the data has no known length. */
  epochBegin({ epoch, epochs, steps }: { epoch: number; epochs: number; steps?: number | undefined }): void {
    this.begin(`Epoch ${epoch}/${epochs}`, steps);
  }

  /** As `epochBegin` for other work, such as an evaluation. */
  begin(label: string, steps?: number | undefined): void {
    this.end();
    this.label = label;
    this.steps = steps;
    this.drawnAt = Number.NEGATIVE_INFINITY;
    if (this.live) this.draw(`${label} ${this.bar(0)}${count(0, steps)}`);
  }

  /** Whether `step` would draw now: only then need the logs be fetched from the device. */
  due(): boolean {
    return this.live && this.now() - this.drawnAt >= interval;
  }

  /** After step `step` (from 1) of the epoch; `elapsedMs` since its first step began, compilation not included. */
  step({ step, logs, elapsedMs }: { step: number; logs: ProgressLogs; elapsedMs: number }): void {
    if (!this.due()) return;
    this.drawnAt = this.now();
    const each = elapsedMs / step;
    const left = this.steps === undefined ? "" : `${clock(((this.steps - step) * each) / 1000)} `;
    const share = this.steps === undefined ? 0 : step / this.steps;
    this.draw(
      `${this.label} ${this.bar(share)}${count(step, this.steps)} ${left}${pace(each)}/step${formatLogs(logs)}`,
    );
  }

  /** Says on the live line what happens after the last step, such as "validating". */
  note(text: string): void {
    if (this.live) this.draw(`${this.label} ${count(this.steps ?? 0, this.steps)} ${text}`);
  }

  /**
   * The epoch's final line. ★ stands where `best` is true; if it is left out, where `val_loss` (without validation: `loss`)
   * is the lowest so far. `steps` is needed where the number was not known before.
   */
  epochEnd(end: { logs: ProgressLogs; seconds: number; best?: boolean; steps?: number }): void {
    const measure = end.logs["val_loss"] ?? end.logs["loss"];
    const lowest = measure !== undefined && measure < this.lowest;
    if (lowest) this.lowest = measure;
    this.finish(end, (end.best ?? lowest) ? " ★" : "");
  }

  /** The final line of work begun with `begin`. */
  finish({ logs, seconds, steps }: { logs: ProgressLogs; seconds: number; steps?: number }, mark = ""): void {
    if (this.silent) return;
    const n = steps ?? this.steps;
    const done = n === undefined ? "" : ` ${n}/${n}`;
    const text = `${this.label}${done} ${duration(seconds)}${formatLogs(logs)}${mark}`;
    this.out.write(`${this.open ? "\r\x1b[K" : ""}${text}\n`);
    this.open = false;
  }

  /** Leaves the live line as it stands, so that an error or a user's own output starts on a line of its own. */
  end(): void {
    if (this.open) this.out.write("\n");
    this.open = false;
  }

  private draw(text: string): void {
    this.open = true;
    this.out.write(`\r${fit(text, this.out.columns?.())}\x1b[K`);
  }

  private bar(share: number): string {
    if (this.steps === undefined) return "";
    const full = Math.round(Math.min(1, share) * barWidth);
    const color = this.out.color ?? this.out.isTty;
    const rest = color ? `\x1b[2m${"━".repeat(barWidth - full)}\x1b[22m` : "─".repeat(barWidth - full);
    return `${"━".repeat(full)}${rest} `;
  }
}

function count(step: number, steps: number | undefined): string {
  return steps === undefined ? String(step) : `${step}/${steps}`;
}

/** `  loss 0.2143  accuracy 0.9361` */
export function formatLogs(logs: ProgressLogs): string {
  return Object.entries(logs)
    .map(([name, value]) => `  ${name} ${formatValue(value)}`)
    .join("");
}

/** Four decimals; powers of ten where these would say nothing. */
export function formatValue(value: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "nan" : value > 0 ? "inf" : "-inf";
  const size = Math.abs(value);
  return size >= 1e5 || (size < 1e-3 && size > 0) ? value.toExponential(3) : value.toFixed(4);
}

/** `0:07`, `12:30`, `1:02:05` */
function clock(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const pad = (n: number) => String(n).padStart(2, "0");
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return h > 0 ? `${h}:${pad(m)}:${pad(s)}` : `${m}:${pad(s)}`;
}

/** `14 ms`, `8.8 ms`, `0.25 ms`, `1.2 s` */
function pace(ms: number): string {
  if (ms >= 1000) return `${(ms / 1000).toFixed(1)} s`;
  return `${ms >= 9.95 ? Math.round(ms) : ms.toFixed(ms >= 0.995 ? 1 : 2)} ms`;
}

/** `13.2 s`; minutes as on a clock. */
function duration(seconds: number): string {
  return seconds < 99.95 ? `${seconds.toFixed(1)} s` : clock(seconds);
}

/** Cuts what a terminal of `columns` characters would wrap; escape sequences take no room. */
function fit(text: string, columns: number | undefined): string {
  if (columns === undefined || columns <= 0) return text;
  let room = columns - 1;
  let out = "";
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the escape character opens a colour sequence.
  for (const part of text.split(/(\x1b\[\d+m)/)) {
    if (part.startsWith("\x1b")) out += part;
    else {
      const kept = part.slice(0, Math.max(0, room));
      room -= part.length;
      out += kept;
    }
  }
  return out;
}

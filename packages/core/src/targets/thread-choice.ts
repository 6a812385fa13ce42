/** Whether a program runs on several threads or one: the faster of the two as they were lately. Results are the same. */

/** Runs on several threads before the first on one: caches and pages are warm then. */
const warmUp = 3;
/** How much the newest run counts in the averages. */
const weight = 0.3;
/** Milliseconds on one thread before several are tried again; doubled each time they lose. */
const shortestSolo = 40;
const longestSolo = 1000;
/** Milliseconds until one thread is measured again while several win by little. */
const shortestCalm = 200;
const longestCalm = 4000;
/** Runs until then at least, so that what long runs lose by being measured stays small. */
const calmRuns = 30;
/** Threads that halve the time have nothing to fear; from this share of one thread's time on, both are watched. */
const doubtful = 0.8;

/**
 * Where another process takes a core, a thread that is not scheduled holds a chunk that everybody waits for, and one
 * thread alone is faster. Which is which shows in the times of whole runs: a run on one thread now and then (one of the
 * first, later only while several threads win by little), and spells on one thread while several lose.
 */
export class ThreadChoice {
  /** Average milliseconds of late; 0 before the first. */
  private several = 0;
  private one = 0;
  private runs = 0;
  private soloUntil = 0;
  private solo = shortestSolo;
  private calmUntil = 0;
  private calm = shortestCalm;
  /** Runs on several threads that are still on trial after a spell on one. */
  private trial = 0;

  /** Whether the run that begins `now` (milliseconds) should use several threads. */
  useSeveral(now: number): boolean {
    if (now < this.soloUntil) return false;
    if (this.runs < warmUp) return true;
    if (this.one === 0) return false;
    if (this.trial > 0) return true;
    if (this.several > doubtful * this.one && now >= this.calmUntil) {
      this.calmUntil = now + Math.max(this.calm, calmRuns * this.several);
      this.calm = Math.min(2 * this.calm, longestCalm);
      return false;
    }
    return true;
  }

  /** Takes note of a run that ended `now` after `milliseconds`. */
  note(several: boolean, milliseconds: number, now: number): void {
    this.runs++;
    if (!several) {
      this.one = this.one === 0 ? milliseconds : this.one + weight * (milliseconds - this.one);
    } else if (this.trial > 0) {
      // After a spell on one thread the old average says nothing.
      this.several = this.trial === 3 ? milliseconds : (this.several + milliseconds) / 2;
      this.trial--;
    } else this.several = this.runs <= warmUp ? milliseconds : this.several + weight * (milliseconds - this.several);
    if (now < this.soloUntil || this.trial > 0 || this.one === 0) return;
    if (this.several > this.one) {
      this.soloUntil = now + Math.max(this.solo, 8 * this.one);
      this.solo = Math.min(2 * this.solo, longestSolo);
      this.trial = 3;
    } else if (this.several < doubtful * this.one) {
      this.solo = shortestSolo;
      this.calm = shortestCalm;
    }
  }
}

/** The scheduler that every program carries: `step`, in which threads take chunks of stages, and `run`, one thread without atomics. */
import type { Code } from "./code.ts";
import { CALL, CONTROL, RECORD, STAGE, SYNC } from "./control.ts";

/** A step gives up after about two minutes without progress, counted in spells of waiting (suspended time does not count). */
const WAIT_LIMIT = 6000;
const WAIT_NANOSECONDS = 20_000_000n;
/** Spells of polling that weigh as much as one spell of sleeping, where the thread may not sleep. */
const POLLS_PER_WAIT = 1000;
/** The test hook gives up after this many waits of a millisecond. */
const HOOK_LIMIT = 5000;

/**
 * `calls(control, scratch, record, callTable, first, last)`: runs calls first … last-1 over all their tasks.
 * `dispatch(call, control, scratch, begin, end)` runs tasks begin … end-1 of one call.
 */
export function emitCalls(c: Code, dispatch: number): void {
  const [control, scratch, record, callTable, call, last] = [0, 1, 2, 3, 4, 5];
  c.block();
  c.get(call).get(last).op("i32.ge_u").brIf(0);
  c.loop();
  c.get(record).get(call).store(RECORD.call);
  c.get(call).get(control).get(scratch).i32(0);
  c.get(callTable).get(call).i32(CALL.bytes).op("i32.mul").op("i32.add").load(CALL.tasks);
  c.call(dispatch);
  c.get(call).i32(1).op("i32.add").tee(call).get(last).op("i32.lt_u").brIf(0);
  c.end();
  c.end();
}

/** `chunk(control, scratch, record, callTable, entry, chunk)`: runs one chunk of the stage whose table entry is given. */
export function emitChunk(c: Code, dispatch: number, calls: number): void {
  const [control, scratch, record, callTable, entry, chunk] = [0, 1, 2, 3, 4, 5];
  const call = c.local("i32");
  const last = c.local("i32");
  const at = c.local("i32");
  const begin = c.local("i32");
  const end = c.local("i32");
  c.get(entry).load(STAGE.firstCall).tee(call);
  c.get(entry).load(STAGE.calls).op("i32.add").set(last);
  c.get(entry).load(STAGE.serial);
  c.if();
  c.get(control).get(scratch).get(record).get(callTable).get(call).get(last).call(calls);
  c.return();
  c.end();
  c.get(callTable).get(call).i32(CALL.bytes).op("i32.mul").op("i32.add").set(at);
  // The call is the last one that begins at or before this chunk.
  c.block();
  c.loop();
  c.get(call).i32(1).op("i32.add").get(last).op("i32.ge_u").brIf(1);
  c.get(at)
    .load(CALL.bytes + CALL.firstChunk)
    .get(chunk)
    .op("i32.gt_u")
    .brIf(1);
  c.get(call).i32(1).op("i32.add").set(call);
  c.get(at).i32(CALL.bytes).op("i32.add").set(at);
  c.br(0);
  c.end();
  c.end();
  c.get(chunk).get(at).load(CALL.firstChunk).op("i32.sub");
  c.get(at).load(CALL.tasksPerChunk).op("i32.mul").set(begin);
  c.get(begin).get(at).load(CALL.tasksPerChunk).op("i32.add").tee(end);
  c.get(at).load(CALL.tasks);
  c.get(end).get(at).load(CALL.tasks).op("i32.lt_u").op("select").set(end);
  c.get(record).get(call).store(RECORD.call);
  c.get(call).get(control).get(scratch).get(begin).get(end).call(dispatch);
}

/** `run(control)`: all calls in order on this thread. */
export function emitRun(c: Code, calls: number): void {
  const control = 0;
  c.get(control);
  c.get(control).load(CONTROL.scratch);
  c.get(control).load(CONTROL.sync).i32(SYNC.records).op("i32.add");
  c.get(control).load(CONTROL.callTable);
  c.i32(0);
  c.get(control).load(CONTROL.calls);
  c.call(calls);
}

/**
 * `step(thread, control, generation, sync) → 0 done, 1 aborted, 2 no progress`. Thread 0 opens the step and returns when it is
 * done; others join, help as long as there are chunks, and may arrive late or never.
 *
 * A thread can be held up anywhere, even until the step is over and its control block is in other use. Therefore the
 * synchronisation block, which stays, is a parameter, and the header is read before the state: only when the state then
 * shows an open stage of this generation are those values true, and nothing is done on the strength of a table before a compare-and-swap has succeeded, which keeps the step
 * from ending until the chunk is complete.
 */
export function emitStep(c: Code, chunkFunction: number): void {
  const [thread, control, generation, sync] = [0, 1, 2, 3];
  const i32 = () => c.local("i32");
  const [scratch, record, stages, stageTable, callTable] = [i32(), i32(), i32(), i32(), i32()];
  const [hook, first, atHook, hooked, hookWaits, joined] = [i32(), i32(), i32(), i32(), i32(), i32()];
  const [stage, chunk, entry, chunks, spins, spinLimit, waits] = [i32(), i32(), i32(), i32(), i32(), i32(), i32()];
  const word = c.local("i64");
  const opened = c.local("i64");
  const lastWord = c.local("i64");

  const header = (offset: number, into: number) => c.get(control).atomicLoad(offset).set(into);
  header(CONTROL.stages, stages);
  header(CONTROL.stageTable, stageTable);
  header(CONTROL.callTable, callTable);
  header(CONTROL.firstParallel, first);
  c.get(control).atomicLoad(CONTROL.scratch);
  c.get(thread).get(control).atomicLoad(CONTROL.scratchStride).op("i32.mul").op("i32.add").set(scratch);
  c.get(sync).get(thread).i32(RECORD.bytes).op("i32.mul").op("i32.add").i32(SYNC.records).op("i32.add").set(record);
  c.get(sync).atomicLoad(SYNC.everyWorker).set(hook);
  c.get(sync).atomicLoad(SYNC.spins).set(spinLimit);
  c.get(generation).op("i64.extend_i32_u").i64(32n).op("i64.shl").set(opened);

  c.get(thread).op("i32.eqz").if();
  c.get(stages).op("i32.eqz").if().i32(0).return().end();
  // Nobody can enter while the words that describe the step change.
  c.get(sync).get(opened).i64(0xffffffffn).op("i64.or").atomicStore64(SYNC.state);
  c.get(sync).i32(0).atomicStore(SYNC.completed);
  c.get(sync).i32(0).atomicStore(SYNC.joined);
  c.get(sync).get(control).atomicStore(SYNC.control);
  c.get(sync).get(control).load(CONTROL.module).atomicStore(SYNC.module);
  c.get(sync).get(generation).atomicStore(SYNC.generation);
  c.get(sync).get(opened).atomicStore64(SYNC.state);
  c.get(sync).i32(1).atomicAdd(SYNC.doorbell).op("drop");
  notifyIf(c, sync, SYNC.idle, SYNC.doorbell);
  c.end();

  c.loop();
  c.get(sync).atomicLoad(SYNC.abort).if().i32(1).return().end();
  c.get(sync).atomicLoad64(SYNC.state).tee(word);
  c.i64(32n).op("i64.shr_u").op("i32.wrap_i64").get(generation).op("i32.ne").if().i32(0).return().end();
  c.get(word).op("i32.wrap_i64").i32(16).op("i32.shr_u").tee(stage);
  c.i32(0xffff).op("i32.eq").if().i32(0).return().end();
  c.get(word).op("i32.wrap_i64").i32(0xffff).op("i32.and").set(chunk);
  c.get(stageTable).get(stage).i32(STAGE.bytes).op("i32.mul").op("i32.add").tee(entry);
  c.load(STAGE.chunks).set(chunks);
  c.get(word).get(lastWord).op("i64.ne").if();
  c.get(word).set(lastWord);
  c.i32(0).set(waits);
  c.end();

  c.get(chunk).get(chunks).op("i32.lt_u").if();
  // Test hook: a second chunk of the first parallel stage only when every thread has had one.
  c.get(hook).i32(0).op("i32.ne").get(stage).get(first).op("i32.eq").op("i32.and").tee(atHook).get(hooked);
  c.op("i32.and").if();
  c.get(sync).atomicLoad(SYNC.joined).tee(joined).get(hook).op("i32.lt_u");
  c.get(hookWaits).i32(HOOK_LIMIT).op("i32.lt_u").op("i32.and").if();
  c.get(sync).get(joined).i64(1_000_000n).atomicWait32(SYNC.joined).op("drop");
  c.get(hookWaits).i32(1).op("i32.add").set(hookWaits);
  c.br(3);
  c.end();
  c.end();
  // Back to the loop if another thread was faster.
  c.get(sync).get(word).get(word).i64(1n).op("i64.add").atomicCompareExchange64(SYNC.state);
  c.get(word).op("i64.ne").brIf(1);
  c.get(atHook).get(hooked).op("i32.eqz").op("i32.and").if();
  c.i32(1).set(hooked);
  c.get(sync).i32(1).atomicAdd(SYNC.joined).op("drop");
  c.end();
  c.get(control).get(scratch).get(record).get(callTable).get(entry).get(chunk).call(chunkFunction);
  c.get(record).get(record).load(RECORD.chunks).i32(1).op("i32.add").store(RECORD.chunks);
  c.get(sync).i32(1).atomicAdd(SYNC.completed).i32(1).op("i32.add").get(chunks).op("i32.eq").if();
  // The last chunk: nobody else can change the state until the next stage is open.
  c.get(sync).i32(0).atomicStore(SYNC.completed);
  c.get(sync).get(opened);
  c.i64(0xffffffffn);
  c.get(stage).i32(1).op("i32.add").tee(stage).op("i64.extend_i32_u").i64(16n).op("i64.shl");
  c.get(stage).get(stages).op("i32.eq").op("select");
  c.op("i64.or").atomicStore64(SYNC.state);
  notifyIf(c, sync, SYNC.sleepers, SYNC.state);
  c.end();
  c.i32(0).set(spins);
  c.br(1);
  c.end();

  // All chunks are taken and some not complete yet.
  c.get(spins).i32(1).op("i32.add").tee(spins).get(spinLimit).op("i32.lt_u").brIf(0);
  c.i32(0).set(spins);
  c.get(thread).get(sync).atomicLoad(SYNC.mainMayWait).op("i32.or").if();
  c.get(sync).i32(1).atomicAdd(SYNC.sleepers).op("drop");
  c.get(sync).get(word).i64(WAIT_NANOSECONDS).atomicWait64(SYNC.state).op("drop");
  c.get(sync).i32(-1).atomicAdd(SYNC.sleepers).op("drop");
  c.get(waits).i32(POLLS_PER_WAIT).op("i32.add").set(waits);
  c.else();
  c.get(waits).i32(1).op("i32.add").set(waits);
  c.end();
  c.get(waits)
    .i32(WAIT_LIMIT * POLLS_PER_WAIT)
    .op("i32.lt_u")
    .brIf(0);
  c.end();
  c.i32(2);
}

/** Wakes those who sleep on the word at `word`, if their count at `sleepers` says that there are any. */
function notifyIf(c: Code, sync: number, sleepers: number, word: number): void {
  c.get(sync).atomicLoad(sleepers).if();
  c.get(sync).i32(0x7fffffff).atomicNotify(word).op("drop");
  c.end();
}

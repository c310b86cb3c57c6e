// SPDX-License-Identifier: Apache-2.0
import { getHeapStatistics, setFlagsFromString } from "node:v8";
import type { Clock } from "./clock.ts";

const LOOK_MS = 2000;
/** V8's memory reducer looks every 8 s, and collects twice. */
const SAVING_LOOKS = 12;
/** In a row; one may fall into a pause of a burst. */
const CALM_LOOKS = 2;
/** Share of a CPU that the main thread used: below it a process is calm, unless it says otherwise. */
const CALM_SHARE = 0.5;
/** Of a process that makes garbage with all it does: collecting more often costs it nothing only while it does hardly anything. */
export const IDLE_SHARE = 0.1;
/** So much may the heap have grown since it was small. */
const GROWTH = 1.1;
const GROWTH_BYTES = 8 * 1024 * 1024;

/** Decides when memory is worth more than speed: when the heap has grown and the process has become calm. */
export class MemorySaving {
  #smallBytes: number;
  readonly #calmShare: number;
  #looksLeft = 0;
  #calmLooks = 0;

  /**
   * @param heapBytes what the heap takes from the system when nothing is to be had; 0: nobody knows yet
   * @param calmShare at most this share of a CPU is used by the main thread of a calm process
   */
  constructor(heapBytes: number, calmShare = CALM_SHARE) {
    this.#smallBytes = heapBytes;
    this.#calmShare = calmShare;
  }

  /** To be asked again and again, with what the heap takes now and how busy the process has been since. True: save. */
  look(heapBytes: number, busyShare: number): boolean {
    const isCalm = busyShare <= this.#calmShare;
    this.#calmLooks = isCalm ? this.#calmLooks + 1 : 0;
    if (this.#looksLeft > 0) {
      // Busy again: speed is worth more, and it begins anew afterwards.
      this.#looksLeft = isCalm ? this.#looksLeft - 1 : 0;
      // What it has become at the end is small now, whatever that is.
      if (isCalm && this.#looksLeft === 0) this.#smallBytes = heapBytes;
      return this.#looksLeft > 0;
    }
    this.#smallBytes = Math.min(this.#smallBytes, heapBytes);
    if (this.#calmLooks < CALM_LOOKS || heapBytes <= this.#smallBytes * GROWTH + GROWTH_BYTES) return false;
    this.#looksLeft = SAVING_LOOKS;
    return true;
  }
}

/** Options of {@link saveMemoryWhenCalm}. */
export interface MemorySavingOptions {
  /** Below this share of a CPU the process is calm. Default 0.5. */
  calmShare?: number;
  /** Ms of CPU that the main thread has used. Default: what the system says. */
  cpuMs?(): number;
  /** Default: what V8 says. */
  heapBytes?(): number;
  /** Default: V8's mode that saves memory. */
  setSaving?(isOn: boolean): void;
}

/**
 * Gives back what a burst left behind, such as the loading of all modules at the start or 18,000 logins: garbage in the old generation,
 * and a young generation that has grown to many times what pings need. V8's memory reducer would do so, by marking in small steps, compacting, and returning pages to the system. But
 * it waits until next to nothing is allocated, which with thousands of clients that ping is never (and in V8 13 not even then: it takes a
 * rate of zero C++ objects for an endless one). In the mode that saves memory it does not wait; so that is on for half a minute then, or until
 * the process is busy again. How busy it is says the CPU that its main thread used: the event loop looks busy, too, while others have the
 * CPU.
 *
 * @returns ends it
 */
export function saveMemoryWhenCalm(clock: Clock, options: MemorySavingOptions = {}): () => void {
  const { calmShare, cpuMs = threadCpuMs, heapBytes = totalHeapBytes, setSaving = setMode } = options;
  const saving = new MemorySaving(0, calmShare);
  let isOn = false;
  let before = { cpuMs: cpuMs(), atMs: clock.nowMs() };
  let cancel = clock.after(LOOK_MS, look);
  function look(): void {
    const now = { cpuMs: cpuMs(), atMs: clock.nowMs() };
    const wanted = saving.look(heapBytes(), (now.cpuMs - before.cpuMs) / Math.max(1, now.atMs - before.atMs));
    before = now;
    if (wanted !== isOn) setSaving(wanted);
    isOn = wanted;
    cancel = clock.after(LOOK_MS, look);
  }
  return () => cancel();
}

function threadCpuMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}

function totalHeapBytes(): number {
  return getHeapStatistics().total_heap_size;
}

function setMode(isOn: boolean): void {
  setFlagsFromString(isOn ? "--memory-saver-mode" : "--no-memory-saver-mode");
}

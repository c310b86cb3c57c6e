// SPDX-License-Identifier: Apache-2.0
import { type EventLoopUtilization, performance } from "node:perf_hooks";
import { getHeapStatistics, setFlagsFromString } from "node:v8";
import type { Clock } from "./clock.ts";

const LOOK_MS = 2000;
/** V8's memory reducer looks every 8 s, and collects twice. */
const SAVING_LOOKS = 12;
/** In a row; one may fall into a pause of a burst. */
const CALM_LOOKS = 2;
/** Share of the time in which the event loop had something to do: below it a process is calm. */
const CALM_SHARE = 0.5;
/** So much may the heap have grown since it was small. */
const GROWTH = 1.1;
const GROWTH_BYTES = 8 * 1024 * 1024;

/** Decides when memory is worth more than speed: when the heap has grown and the process has become calm. */
export class MemorySaving {
  #smallBytes: number;
  #looksLeft = 0;
  #calmLooks = 0;

  /** @param heapBytes what the heap takes from the system at first */
  constructor(heapBytes: number) {
    this.#smallBytes = heapBytes;
  }

  /** To be asked again and again, with what the heap takes now and how busy the process has been since. True: save. */
  look(heapBytes: number, busyShare: number): boolean {
    const isCalm = busyShare <= CALM_SHARE;
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

/**
 * Gives back what a burst left behind, such as 18,000 logins: garbage in the old generation, and a young generation that has grown to
 * many times what pings need. V8's memory reducer would do so, by marking in small steps, compacting, and returning pages to the system. But
 * it waits until next to nothing is allocated, which with thousands of clients that ping is never (and in V8 13 not even then: it takes a
 * rate of zero C++ objects for an endless one). In the mode that saves memory it does not wait; so that is on for half a minute then, or until
 * the process is busy again.
 *
 * @returns ends it
 */
export function saveMemoryWhenCalm(clock: Clock, setSaving: (isOn: boolean) => void = setMode): () => void {
  const heapBytes = (): number => getHeapStatistics().total_heap_size;
  const saving = new MemorySaving(heapBytes());
  let isOn = false;
  let before: EventLoopUtilization = performance.eventLoopUtilization();
  let cancel = clock.after(LOOK_MS, look);
  function look(): void {
    const now = performance.eventLoopUtilization();
    const wanted = saving.look(heapBytes(), performance.eventLoopUtilization(now, before).utilization);
    before = now;
    if (wanted !== isOn) setSaving(wanted);
    isOn = wanted;
    cancel = clock.after(LOOK_MS, look);
  }
  return () => cancel();
}

function setMode(isOn: boolean): void {
  setFlagsFromString(isOn ? "--memory-saver-mode" : "--no-memory-saver-mode");
}

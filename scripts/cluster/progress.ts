// SPDX-License-Identifier: Apache-2.0

/** Where progress goes: one line per event, with the time since the start. */
export interface Progress {
  line(text: string): void;
  /** Seconds since this progress began, one decimal. */
  elapsedSeconds(): number;
}

/** What every long step gets: where to report, and when to stop. */
export interface RunContext {
  progress: Progress;
  signal?: AbortSignal | undefined;
}

/** `3 min 12 s`, `12 s`, `0.4 s`. */
export function formatDuration(ms: number): string {
  if (ms < 10_000) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

/** Progress on stderr (stdout belongs to the JSON result): `[  12.3 s] text`. */
export function createProgress(write: (text: string) => void = (text) => void process.stderr.write(text)): Progress {
  const startedMs = performance.now();
  const elapsedSeconds = (): number => Math.round((performance.now() - startedMs) / 100) / 10;
  return { elapsedSeconds, line: (text) => write(`[${elapsedSeconds().toFixed(1).padStart(6)} s] ${text}\n`) };
}

/** For callers that report by themselves. */
export const silentProgress: Progress = { line: () => undefined, elapsedSeconds: () => 0 };

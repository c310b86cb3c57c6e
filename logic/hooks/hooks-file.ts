// SPDX-License-Identifier: Apache-2.0
import { readFile } from "node:fs/promises";
import type { Clock } from "#lib/clock.ts";
import { ErrorCode, ImError } from "#lib/errors.ts";
import { repeat } from "#lib/repeat.ts";
import { type HookSettings, NO_HOOKS, parseHooks, secretFilesOf } from "./hook-settings.ts";

const POLL_MS = 5000;

/** Options of {@link HooksFile.open}. */
export interface HooksFileOptions {
  clock: Clock;
  /** Other settings are in force. */
  onChange?: (settings: HookSettings) => void;
  /** A change was refused: what was before stays in force. */
  onError: (error: unknown) => void;
  /** Default 5,000. */
  pollMs?: number;
}

interface Loaded {
  readonly settings: HookSettings;
  /** Equal when nothing changed. */
  readonly print: string;
}

/** The file of hooks with the secrets that it names, read again when one of them changes, as mounted ConfigMaps and Secrets do. */
export class HooksFile {
  readonly #path: string;
  readonly #options: HooksFileOptions;
  #loaded: Loaded;
  #stop: () => void = () => undefined;
  #isClosed = false;

  private constructor(path: string, loaded: Loaded, options: HooksFileOptions) {
    this.#path = path;
    this.#options = options;
    this.#loaded = loaded;
    const { clock, pollMs = POLL_MS } = options;
    if (path !== "") this.#stop = repeat(clock, pollMs, () => this.poll());
  }

  /** Without a path there are no hooks. @throws {ImError} BAD_REQUEST that says what to correct */
  static async open(path: string | undefined, options: HooksFileOptions): Promise<HooksFile> {
    if (path === undefined) return new HooksFile("", { settings: NO_HOOKS, print: "" }, options);
    return new HooksFile(path, await load(path), options);
  }

  current(): HookSettings {
    return this.#loaded.settings;
  }

  close(): void {
    this.#isClosed = true;
    this.#stop();
  }

  /** Compares the files once, now. */
  async poll(): Promise<void> {
    const { onChange, onError } = this.#options;
    try {
      const loaded = await load(this.#path);
      if (loaded.print === this.#loaded.print || this.#isClosed) return;
      this.#loaded = loaded;
      onChange?.(loaded.settings);
    } catch (error) {
      onError(error);
    }
  }
}

async function load(path: string): Promise<Loaded> {
  const text = await read(path);
  if (text === undefined) throw new ImError(ErrorCode.BAD_REQUEST, `cannot read ${path}: set IM_HOOKS_FILE to a file`);
  const secrets = new Map<string, string>();
  for (const file of secretFilesOf(text)) {
    const secret = await read(file);
    if (secret !== undefined) secrets.set(file, secret);
  }
  return { settings: parseHooks(text, secrets), print: JSON.stringify([text, ...secrets]) };
}

async function read(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch {
    return undefined;
  }
}

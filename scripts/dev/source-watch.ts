// SPDX-License-Identifier: Apache-2.0
import { existsSync, type FSWatcher, watch } from "node:fs";
import { join } from "node:path";
import type { Clock } from "#lib/clock.ts";

/** What has to start again when a source changes. */
export type Target = "entry" | "logic" | "extlogic" | "demo";

const SERVERS: readonly Target[] = ["entry", "logic", "extlogic"];

/** Folders below the project's root and what is made of them. */
export const WATCHED: Readonly<Record<string, readonly Target[]>> = {
  lib: SERVERS,
  proto: SERVERS,
  gateway: ["entry"],
  logic: ["logic", "extlogic"],
  "client/src": ["demo"],
  "examples/chat": ["demo"],
};

const SOURCE = /\.(ts|lua|sql|proto|html|css)$/;
const NO_SOURCE = /\.test\.ts$|(^|\/)(dist|node_modules)\//;

/** Is a change of this file, relative to a watched folder, a reason to act? */
export function isSource(file: string): boolean {
  return SOURCE.test(file) && !NO_SOURCE.test(file);
}

/** Gathers targets until nothing changed for `quietMs`; an editor or `git` touches many files at once. */
export class Debounce {
  readonly #clock: Clock;
  readonly #quietMs: number;
  readonly #fire: (targets: ReadonlySet<Target>) => void;
  #targets = new Set<Target>();
  #cancel: (() => void) | undefined;

  constructor(clock: Clock, quietMs: number, fire: (targets: ReadonlySet<Target>) => void) {
    this.#clock = clock;
    this.#quietMs = quietMs;
    this.#fire = fire;
  }

  add(targets: readonly Target[]): void {
    for (const target of targets) this.#targets.add(target);
    this.#cancel?.();
    this.#cancel = this.#clock.after(this.#quietMs, () => {
      const gathered = this.#targets;
      this.#targets = new Set();
      this.#cancel = undefined;
      this.#fire(gathered);
    });
  }

  close(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }
}

/** Watches the sources below `root`; returns how to stop. Folders that do not exist are left out. */
export function watchSources(root: string, debounce: Debounce): () => void {
  const watchers: FSWatcher[] = [];
  for (const [folder, targets] of Object.entries(WATCHED)) {
    const path = join(root, folder);
    if (!existsSync(path)) continue;
    watchers.push(
      watch(path, { recursive: true }, (_event, file) => {
        if (file !== null && isSource(file)) debounce.add(targets);
      }),
    );
  }
  return () => {
    debounce.close();
    for (const watcher of watchers) watcher.close();
  };
}

// SPDX-License-Identifier: Apache-2.0
import { existsSync, mkdirSync } from "node:fs";
import { dirname } from "node:path";

/**
 * Makes a folder, and first those above it. Node's own recursive way never ends where the kernel refuses a folder with
 * ENOENT below one that exists, as in /proc.
 * @throws NodeJS.ErrnoException of `mkdir` with the path that could not be made
 */
export function makeFolder(path: string, mode?: number): void {
  if (existsSync(path)) return;
  makeFolder(dirname(path), mode);
  try {
    mkdirSync(path, { mode });
  } catch (error) {
    // Somebody else made it meanwhile; a link to nothing is no folder.
    if (!existsSync(path)) throw error;
  }
}

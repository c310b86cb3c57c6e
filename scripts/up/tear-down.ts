// SPDX-License-Identifier: Apache-2.0
import { rmSync } from "node:fs";
import { down } from "../cluster/down.ts";
import { demoFolder, type UpOptions } from "./bring-up.ts";

/** `make down`: removes the local cluster and the demo's files; a cluster of the user's own is not touched. */
export async function tearDown(options: UpOptions): Promise<object> {
  const result = await down(options);
  rmSync(demoFolder(), { recursive: true, force: true });
  return { ...result, seconds: options.progress.elapsedSeconds() };
}

// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import type { Lifecycle } from "#lib/lifecycle.ts";
import type { HookStore } from "../store/hooks.ts";
import type { HookSettings } from "./hook-settings.ts";
import { HooksFile } from "./hooks-file.ts";

/** What {@link openHookFeed} needs. */
export interface HookFeedPorts {
  store: Pick<HookStore, "wantMessages">;
  clock: Clock;
  onFault: (op: string, error: unknown) => void;
}

/**
 * Follows the file of hooks in logic: messages are left for webhooks as long as one wants them, and cost nothing otherwise.
 * @throws {ImError} BAD_REQUEST when the file is wrong
 */
export async function openHookFeed(
  path: string | undefined,
  { store, clock, onFault }: HookFeedPorts,
  lifecycle: Lifecycle,
): Promise<() => HookSettings> {
  const put = ({ hooks }: HookSettings): void =>
    store.wantMessages(hooks.some(({ events }) => events.has("message.after")));
  const file = await HooksFile.open(path, { clock, onChange: put, onError: (error) => onFault("hooks file", error) });
  lifecycle.onStop("hooks file", () => file.close());
  put(file.current());
  return () => file.current();
}

// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import type { Lifecycle } from "#lib/lifecycle.ts";
import type { Metrics } from "#lib/metrics.ts";
import type { Store } from "../store/store.ts";
import { AllowedNetworks } from "../webhook/public-address.ts";
import { type HookSettings, wantsEvent } from "./hook-settings.ts";
import { HooksFile } from "./hooks-file.ts";
import { createBeforeMetrics, MessageBefore } from "./message-before.ts";

/** Environment of {@link openHookFeed}. */
export interface HookFeedConfig {
  IM_HOOKS_FILE?: string | undefined;
  IM_WEBHOOK_ALLOWED_NETWORKS?: readonly string[] | undefined;
}

/** What logic lends. */
export interface HookFeedPorts {
  store: {
    hooks: Pick<Store["hooks"], "wantMessages">;
    policy: Pick<Store["policy"], "wantReports">;
  } & Pick<Store, "visiblePeers">;
  clock: Clock;
  /** Uniform in [0, 1). */
  random: () => number;
  registry: Metrics;
  onFault: (op: string, error: unknown) => void;
}

/** What logic does with it. */
export interface HookFeed {
  /** Asks a backend before a message is stored, where the file names one. */
  readonly guard: MessageBefore;
  readonly settings: () => HookSettings;
}

/**
 * Follows the file of hooks in logic: messages and reports are left for webhooks as long as one wants them, and cost nothing otherwise. * @throws {ImError} BAD_REQUEST when the file is wrong
 */
export async function openHookFeed(
  config: HookFeedConfig,
  { store, clock, random, registry, onFault }: HookFeedPorts,
  lifecycle: Lifecycle,
): Promise<HookFeed> {
  const allowed = new AllowedNetworks(config.IM_WEBHOOK_ALLOWED_NETWORKS ?? []);
  const put = (settings: HookSettings): void => {
    store.hooks.wantMessages(wantsEvent(settings, "message.after"));
    store.policy.wantReports(wantsEvent(settings, "report.created"));
  };
  const onError = (error: unknown): void => onFault("hooks file", error);
  const file = await HooksFile.open(config.IM_HOOKS_FILE, { clock, onChange: put, onError });
  lifecycle.onStop("hooks file", () => file.close());
  put(file.current());
  const metrics = createBeforeMetrics(registry);
  const guard = new MessageBefore({ settings: () => file.current(), store, allowed, clock, random, metrics });
  lifecycle.onStop("message.before", () => guard.close());
  return { guard, settings: () => file.current() };
}

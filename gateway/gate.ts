// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import { AddressLimits } from "./listen/address-limits.ts";
import { Front } from "./listen/front.ts";
import { LoadGuard } from "./listen/load-guard.ts";
import { AddressRanges } from "./listen/proxy.ts";
import type { EntryMetrics } from "./metrics.ts";
import type { ClientLimits } from "./session/client-limits.ts";
import { KeyedPaces } from "./session/keyed-paces.ts";
import type { Pace } from "./session/pace.ts";

/** Limits as they are configured; 0 = none. */
export interface LimitsConfig {
  /** Load balancers, as ranges, that begin each connection with a PROXY header. */
  proxyCidrs: readonly string[];
  /** Peers are the clients themselves: no load balancer hides them. */
  limitsPeers: boolean;
  addressConnectionsPerSecond: number;
  addressConnections: number;
  addressFailedLoginsPerMinute: number;
  framesPerSecond: number;
  bytesPerSecond: number;
  userMessagesPerSecond: number;
  shedLagMs: number;
  shedMemoryPercent: number;
}

/** Everything that turns clients away or slows them down. */
export interface Gate {
  front: Front;
  guard: LoadGuard;
  limits: ClientLimits;
}

/** Seconds of its rate that may come at once. */
const BURST_SECONDS = 10;

/** @throws {RangeError} for a range that is none */
export function createGate(config: LimitsConfig, clock: Clock, metrics: EntryMetrics): Gate {
  const proxies = new AddressRanges(config.proxyCidrs);
  const addresses = new AddressLimits({
    connections: pace(config.addressConnectionsPerSecond),
    maxOpen: config.addressConnections || undefined,
    failedLogins: pace(config.addressFailedLoginsPerMinute / 60, config.addressFailedLoginsPerMinute),
  });
  const { shedLagMs, shedMemoryPercent, limitsPeers, userMessagesPerSecond } = config;
  const guard = new LoadGuard({ clock, maxLagMs: shedLagMs, maxMemoryRatio: shedMemoryPercent / 100 });
  const messages = pace(userMessagesPerSecond);
  return {
    guard,
    front: new Front({
      ...{ clock, proxies, limitsPeers, limits: addresses },
      overloaded: () => guard.overloaded,
      onRefused: (reason) => metrics.refused(reason),
    }),
    limits: {
      reads: { frames: pace(config.framesPerSecond), bytes: pace(config.bytesPerSecond) },
      messages: messages && new KeyedPaces(messages),
      tries: addresses,
    },
  };
}

function pace(perSecond: number, burst = perSecond * BURST_SECONDS): Pace | undefined {
  return perSecond > 0 ? { perSecond, burst } : undefined;
}

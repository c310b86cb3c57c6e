// SPDX-License-Identifier: Apache-2.0
import type { LogicPorts } from "./compose.ts";
import { Gate } from "./gate.ts";
import type { AdminPorts } from "./grpc/admin.ts";
import type { Entries } from "./grpc/entries.ts";
import type { AckBuffer } from "./inbox/acks.ts";
import type { EpochWatch } from "./inbox/epoch-watch.ts";
import type { RouterMemory } from "./presence/router-memory.ts";
import type { Router } from "./router/router.ts";
import { ActivityBuffer } from "./session/activity.ts";
import { DeviceHandler } from "./session/devices.ts";
import { SessionGuard } from "./session/guard.ts";
import type { KickDesk } from "./session/kick.ts";
import { LoginHandler } from "./session/login.ts";
import { LogoutQueue } from "./session/logouts.ts";
import { ReauthHandler } from "./session/reauth.ts";
import type { Session } from "./session/session.ts";
import { DEFAULT_POLICY } from "./session/slots.ts";

/** Logins under way: enough that each of their steps has a full portion in hand, and no more that others would have to wait for. */
const LOGIN_GATE = { maxRunning: 256, maxWaiting: 5000, maxWaitMs: 5000 };
/** Other work on identity runs on the store's general connections; more would only wait there. */
const IDENTITY_GATE = { maxRunning: 32, maxWaiting: 5000, maxWaitMs: 5000 };

/** What the rest of logic lends. */
export interface IdentityParts {
  entries: Entries;
  kicks: KickDesk;
  acks: AckBuffer;
  epochs: EpochWatch;
  memory: RouterMemory;
  /** Sets and deletes routes. */
  changes: Pick<Router, "login" | "logout">;
  removeLater: (session: Session) => void;
  /** Newest activation seq of broadcasts. */
  sysHead: (userId: string) => number;
  onRouterFault: (op: string, error: unknown) => void;
}

/** What keeps sessions in order: logins, tokens, devices, logouts, and the commands of administrators. */
export function composeIdentity(ports: LogicPorts, parts: IdentityParts) {
  const { store, router, clock, random, defer, onFault, log, metrics, pingIntervalMs, gap } = ports;
  const { backgroundPingIntervalMs = pingIntervalMs } = ports;
  const { entries, kicks, acks, epochs, changes, removeLater, sysHead, onRouterFault } = parts;
  const loginGate = new Gate({ clock, ...LOGIN_GATE });
  const gate = new Gate({ clock, ...IDENTITY_GATE });
  const onKick = (code: number): void => metrics.kicks.inc({ code: String(code) });
  const verifyToken: LogicPorts["tokens"]["verify"] = (token) => ports.tokens.verify(token);
  const policy = ports.sessionPolicy ?? DEFAULT_POLICY;
  const faults = { onRouterFault, onStoreFault: onFault, onKick };
  const login = new LoginHandler({
    ...faults,
    ...{
      verifyToken,
      store,
      router: changes,
      removeLater,
      sysHead,
      kicks,
      policy,
      acks,
      epochs,
      clock,
      defer,
      random,
      pingIntervalMs,
      backgroundPingIntervalMs,
      gap,
    },
  });
  const guard = new SessionGuard({ store, sessions: () => entries.boundSessions(), clock, defer, onFault, onKick });
  const reauth = new ReauthHandler({ verifyToken, store, guard, gate, clock, onFault });
  const activity = new ActivityBuffer({ store, clock, onFault });
  const devices = new DeviceHandler({ store, activity, gate, onFault });
  const logouts = new LogoutQueue({ store, clock, defer, onFault });
  const admin: AdminPorts = { store, router, kicks, guard, memory: parts.memory, onKick, clock, log };
  return {
    handlers: { loginGate, login, reauth, guard, devices, activity, logouts },
    admin,
    isIdle: () => loginGate.running === 0 && gate.running === 0 && logouts.isIdle,
    close: () => {
      guard.stop();
      activity.close();
      logouts.close();
    },
  };
}

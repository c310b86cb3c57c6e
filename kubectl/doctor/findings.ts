// SPDX-License-Identifier: Apache-2.0
import { DisconnectCode, disconnectReason } from "#lib/codes.ts";
import type { ConditionStatus, ImCluster } from "../../operator/api/v1alpha1.ts";
import { type Cell, type Paint, span, table } from "../text.ts";
import type { DialFailure, Target, TlsFacts } from "./dial.ts";
import type { Carrier, LoginOutcome } from "./login.ts";

/** What one check came to. */
export interface Finding {
  check: string;
  verdict: "ok" | "warning" | "bad";
  text: string;
  /** What cures it; empty when nothing has to be. */
  remedy: string;
}

const DAY_MS = 86_400_000;
const CERTIFICATE_BAD_MS = 3 * DAY_MS;
const CERTIFICATE_WARN_MS = 14 * DAY_MS;
/** A way to the fleet that is slower is worth a word. */
const SLOW_MS = 500;
export const ok = (check: string, text: string): Finding => ({ check, verdict: "ok", text, remedy: "" });
export const warning = (check: string, text: string, remedy: string): Finding => ({
  ...{ check, verdict: "warning", text, remedy },
});
export const bad = (check: string, text: string, remedy: string): Finding => ({ check, verdict: "bad", text, remedy });

const CONDITION_REMEDY: Readonly<Record<string, string>> = {
  EntriesReady:
    "`kubectl im logs --component entry --level warn`, and `kubectl describe pod` of one that is not ready.",
  LogicReady: "`kubectl im logs --component logic --level warn`, and `kubectl describe pod` of one that is not ready.",
  StoreReady: "Is PostgreSQL there, and does the URL in the Secret of spec.postgres.urlSecretRef lead to it?",
  RouterReady: "Is Redis there, and does the URL in the Secret of spec.redis.urlSecretRef lead to it?",
  LoadBalancerReady:
    "The cluster gives the Service no address: install a load balancer, or set spec.entry.service.type to NodePort.",
  SchemaMigrated: "`kubectl im logs --component migrate` says why the migration does not get through.",
};

/** What the operator says. */
export function conditionFindings({ status, metadata }: ImCluster): Finding[] {
  const check = "operator";
  const conditions = status?.conditions ?? [];
  if (conditions.length === 0)
    return [
      bad(
        check,
        `no operator looks after ${metadata.name}`,
        "`kubectl im install generate | kubectl apply -f -` installs one.",
      ),
    ];
  const wrong = conditions.filter(({ type, status: is }) => CONDITION_REMEDY[type] !== undefined && is === "False");
  if (wrong.length === 0) return [ok(check, `${status?.phase}: ${status?.phaseReason}`)];
  return wrong.map(({ type, message }: ConditionStatus) =>
    bad(check, `${type} is False: ${message}`, CONDITION_REMEDY[type] ?? ""),
  );
}

const DIAL_REMEDY: Readonly<Record<DialFailure["stage"], string>> = {
  dns: "The name does not resolve from here: correct the DNS record, or give another address by --server.",
  tcp: "Nothing answers there: look at firewalls and security groups for port 443, at the load balancer's health checks, and at EntriesReady.",
  tls: "Something answers that speaks no TLS: does the load balancer pass TCP through unchanged? One that writes a PROXY header needs spec.entry.proxyProtocol, and only that one.",
};

/** Name, TCP and TLS. */
export function dialFindings(target: Target, seen: TlsFacts | DialFailure): Finding[] {
  const address = `${target.host}:${target.port}`;
  if (seen.kind === "failed") return [bad(seen.stage, `${address}: ${seen.problem}`, DIAL_REMEDY[seen.stage])];
  const times = `${address} (${seen.addresses.join(", ")}) in ${ms(seen.connectMs)}, TLS in ${ms(seen.handshakeMs)}: ${seen.protocol} ${seen.cipher}`;
  if (seen.connectMs + seen.handshakeMs < SLOW_MS) return [ok("connect", times)];
  return [
    warning(
      "connect",
      times,
      "The way to the fleet is slow from here: is the load balancer far away, or are entries busy?",
    ),
  ];
}

const DISTRUST_REMEDY: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: "Renew it: put a new pair into the Secret; entries take it within seconds.",
  CERT_NOT_YET_VALID: "It begins later: is a clock wrong, here or where it was made?",
  ERR_TLS_CERT_ALTNAME_INVALID:
    "It does not name this host: name it in the certificate, or give the name that it has by --server-name.",
  DEPTH_ZERO_SELF_SIGNED_CERT: "It is signed by itself: give its authority by --ca, and clients need it, too.",
  SELF_SIGNED_CERT_IN_CHAIN: "Its authority is one of your own: give it by --ca, and clients need it, too.",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    "Its authority is not known here, or tls.crt lacks the intermediate certificates: add them behind the first, or name the authority by --ca.",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    "Its authority is not known here, or tls.crt lacks the intermediate certificates: add them behind the first, or name the authority by --ca.",
};

/** Trust and expiry, as clients see them. */
export function certificateFindings(seen: TlsFacts, target: Target, nowMs: number): Finding[] {
  const check = "certificate";
  const leftMs = seen.notAfterMs - nowMs;
  const date = new Date(seen.notAfterMs).toISOString().slice(0, 10);
  const about = `${seen.names} by ${seen.issuer || "nobody"}`;
  if (seen.distrust !== "")
    return [
      bad(
        check,
        `not trusted as ${target.serverName}: ${seen.distrust}; it is for ${about}`,
        DISTRUST_REMEDY[seen.distrust] ?? "Clients will refuse it: replace it.",
      ),
    ];
  const text = `trusted as ${target.serverName}, ends in ${span(leftMs)} (${date}); for ${about}`;
  const remedy = "Renew it now: put a new pair into the Secret; entries take it within seconds.";
  if (leftMs < CERTIFICATE_BAD_MS) return [bad(check, text, remedy)];
  return [leftMs < CERTIFICATE_WARN_MS ? warning(check, text, remedy) : ok(check, text)];
}

/** A token that would have gone to somebody who is not known to be the fleet. */
export function withheldFinding({ serverName }: Target): Finding {
  const text = `was not sent: whoever has it is its user, and the certificate is not trusted as ${serverName}`;
  return warning(
    "token",
    `${text}; a made-up one is tried instead`,
    "Name the certificate's authority by --ca or its name by --server-name, or send the token all the same by --insecure.",
  );
}

const CARRIER_NAME: Readonly<Record<Carrier, string>> = { tcp: "raw TCP", ws: "WebSocket", http: "HTTP" };
const REFUSED_REMEDY: Readonly<Record<number, string>> = {
  [DisconnectCode.OVERLOADED]: "Entries are full: raise spec.entry.replicas or spec.entry.maxConnectionsPerPod.",
  [DisconnectCode.LOGIC_UNAVAILABLE]: "No entry reaches a logic pod: look at LogicReady and at the logs of entries.",
  [DisconnectCode.SHUTDOWN]: "The entry stops: run it again; if it stays, look at the entry pods.",
  [DisconnectCode.DRAINED]:
    "The entry is being drained, and the load balancer still sends new connections there: raise spec.entry.drain.",
  [DisconnectCode.RATE_LIMITED]: "Too many tries from this address: wait a minute; see spec.entry.limits.",
  [DisconnectCode.FLAPPING]: "This program logged in too often: wait a minute.",
  [DisconnectCode.TOKEN_EXPIRED]:
    "The token ran out: give a fresh one by --token-file. If it is fresh, a clock is wrong.",
  [DisconnectCode.TOKEN_INVALID]: "Issuer, audience or key differ from spec.auth: compare them with the token.",
  [DisconnectCode.TOKEN_REVOKED]: "The token was revoked: give another by --token-file.",
};
const CARRIER_REMEDY: Readonly<Record<Carrier, string>> = {
  tcp: "Does the load balancer pass TCP through unchanged (no TLS or HTTP of its own)? Clients fall back to WebSocket and HTTP.",
  ws: "Does something on the way speak HTTP without upgrades? Raw TCP and HTTP still work where they are listed as ok.",
  http: "Does something on the way change or hold back POST requests? It is the last way in for clients behind strict proxies.",
};

/** A login by one carrier. @param isProbe the token was none: to be refused for it is what is hoped for */
export function loginFinding(carrier: Carrier, outcome: LoginOutcome, isProbe: boolean): Finding {
  const check = CARRIER_NAME[carrier];
  switch (outcome.kind) {
    case "welcome":
      return ok(check, `WELCOME as ${outcome.user} from ${outcome.entry} in ${ms(outcome.ms)}`);
    case "refused": {
      const said = `${outcome.code} ${disconnectReason(outcome.code)}${outcome.reason ? `: ${outcome.reason}` : ""}`;
      if (isProbe && outcome.code === DisconnectCode.TOKEN_INVALID)
        return ok(check, `entry and logic answer in ${ms(outcome.ms)}: a made-up token is refused`);
      return bad(
        check,
        `login refused with ${said}`,
        REFUSED_REMEDY[outcome.code] ?? "docs/protocol.md says what the code means.",
      );
    }
    case "failed":
      return bad(check, outcome.problem, CARRIER_REMEDY[carrier]);
  }
}

/** For people. */
export function findingsText(title: string, findings: readonly Finding[], paint: Paint): string {
  const marks = { ok: paint.good, warning: paint.warn, bad: paint.bad };
  const rows = findings.map(({ check, verdict, text }): Cell[] => [
    { text: verdict, paint: marks[verdict] },
    check,
    text,
  ]);
  const remedies = findings.filter(({ remedy }) => remedy !== "");
  const lines = remedies.map(({ check, remedy }) => `${paint.bold(check)}: ${remedy}\n`);
  const body = table(["", "", ""], rows, paint).replace(/^.*\n/, "");
  const end =
    lines.length > 0 ? `\nWhat to do\n${lines.join("")}` : `\n${paint.good("Nothing is wrong as seen from here.")}\n`;
  return `${paint.bold(title)}\n\n${body}${end}`;
}

const ms = (value: number): string => `${Math.round(value)} ms`;

// SPDX-License-Identifier: Apache-2.0
import { Metrics } from "#lib/metrics.ts";
import { LOGIN_RESULTS } from "./session/login-result.ts";
import { tenantCounter } from "./tenant/tenant-counts.ts";

/** Everything the logic process counts. One object per process, made by {@link createLogicMetrics}. */
export type LogicMetrics = ReturnType<typeof createLogicMetrics>;

/** Registers the metrics of the logic process; names are stable, labels are of low cardinality. */
export function createLogicMetrics(metrics: Metrics) {
  return {
    records: metrics.counter("im_logic_records_total", "Uplink records by direction.", ["direction"]),
    batches: metrics.counter("im_logic_batches_total", "Uplink batches by direction.", ["direction"]),
    streamsClosed: metrics.counter("im_logic_streams_closed_total", "Entry streams that ended, by reason.", ["reason"]),
    logins: metrics.tally("im_logic_logins_total", "Logins by result.", "result", LOGIN_RESULTS),
    tenantLogins: tenantCounter(metrics, "im_logic_logins_by_tenant_total", "Logins that succeeded, by tenant."),
    loginSeconds: metrics.plainHistogram("im_logic_login_duration_seconds", "From HELLO to WELCOME, in logic."),
    kicks: metrics.counter("im_logic_kicks_total", "Sessions told to leave, by code.", ["code"]),
    commands: metrics.counter("im_logic_refused_commands_total", "Commands answered with ERROR, by code.", ["code"]),
    sends: metrics.tally("im_send_total", "SEND by result.", "result", [
      ...(["stored", "duplicate", "conflict"] as const),
      ...(["denied", "invalid", "busy", "retryable", "bounced", "blocked"] as const),
      // Two people have as many conversations about single items as they may.
      "full",
    ]),
    tenantMessages: tenantCounter(
      metrics,
      "im_send_by_tenant_total",
      "Messages stored, by the tenant of their sender.",
    ),
    policyVerdicts: metrics.counter("im_policy_verdicts_total", "Messages that rules had something to say about.", [
      "verdict",
      "rule",
    ]),
    policyFacts: metrics.counter("im_policy_facts_total", "Conversations that rules needed facts about.", ["result"]),
    sendSeconds: metrics.plainHistogram("im_send_duration_seconds", "From SEND to the committed answer, in logic."),
    commitMessages: metrics.histogram(
      "im_send_commit_messages",
      "Messages in one transaction.",
      [],
      [1, 2, 5, 10, 20, 50, 100, 200, 500],
    ),
    commitSeconds: metrics.histogram("im_send_commit_duration_seconds", "One transaction.", ["result"]),
    hookVerdicts: metrics.counter("im_hook_verdicts_total", "Late verdicts of classifiers, by what became of them.", [
      "hook",
      "result",
    ]),
    changes: metrics.counter("im_changes_total", "Recalls, edits and card updates by result.", ["kind", "result"]),
    changeSeconds: metrics.plainHistogram("im_change_duration_seconds", "One change of a message, in the database."),
    cardActions: metrics.counter("im_card_actions_total", "Buttons of cards pressed, by result.", ["result"]),
    cardActionSeconds: metrics.plainHistogram("im_card_action_duration_seconds", "One press, with the shop's backend."),
    delivers: metrics.tally("im_logic_deliver_total", "Inbox events per recipient, by what became of them.", "result", [
      ...(["delivered", "parked", "offline"] as const),
      ...(["unreachable", "unknown", "dropped"] as const),
    ]),
    reads: metrics.counter("im_logic_reads_total", "SYNC, HISTORY, SNAPSHOT, CONTACTS and SYS_PULL by result.", [
      "kind",
      "result",
    ]),
    readSeconds: metrics.histogram("im_logic_read_duration_seconds", "Reading one page of messages.", ["kind"]),
    presenceRequests: metrics.counter("im_presence_requests_total", "PRESENCE and PRESENCE_SUB by result.", [
      "kind",
      "result",
    ]),
    groupRequests: metrics.counter("im_group_requests_total", "GROUP by result.", ["result"]),
    presenceFrames: metrics.counter("im_presence_frames_total", "Changes of presence by what became of them.", [
      "result",
    ]),
    chatCommands: metrics.counter("im_chat_commands_total", "Commands of the chat by result.", ["command", "result"]),
    ephemeralFrames: metrics.counter(
      "im_chat_ephemeral_total",
      "Frames for whoever is connected, by what became of them.",
      ["result"],
    ),
    acks: metrics.counter("im_logic_acks_total", "Device cursors written, by result.", ["result"]),
    heads: metrics.counter("im_logic_heads_total", "Inbox heads asked for, by result.", ["result"]),
    leases: metrics.counter("im_router_lease_renew_total", "Lease renewals of entries by result.", ["result"]),
    routerFaults: metrics.counter("im_router_faults_total", "Router calls that failed, by operation.", ["op"]),
    reannounces: metrics.counter("im_router_reannounce_total", "Times the entries were asked to announce again."),
    purgesHeld: metrics.counter(
      "im_router_purges_held_total",
      "Purges refused because a large part of the fleet was declared dead within a minute: an alarm.",
    ),
    staleRoutes: metrics.counter("im_router_stale_routes_total", "Routes whose connection was gone."),
    ackArmed: metrics.counter(
      "im_ack_armed_total",
      "Slots whose delivery was not acknowledged at once: the wheel waits.",
    ),
    ackTimeouts: metrics.counter("im_ack_timeouts_total", "Slots that did not acknowledge in time."),
    ackDropped: metrics.counter("im_ack_dropped_total", "Slots the wheel could not be told of: the reconciler is."),
    intents: metrics.counter("im_push_intents_total", "Push intents by result.", ["result"]),
  };
}

/** What is read from the running process when Prometheus asks. */
export interface LogicGauges {
  entries(): number;
  sessions(): number;
  parkedDelivers(): number;
  ackPending(): number;
  ackWheelLagMs(): number;
  /** Connections to PostgreSQL by pool and state, and callers that wait for one. */
  pools(): Record<string, { total: number; idle: number; waiting: number }>;
  /** Absent where nobody may see who is online. */
  watchingSessions: (() => number) | undefined;
  watchedUsers: (() => number) | undefined;
  /** Absent without a file of rules. */
  policy:
    | { readonly rules: number; readonly problem: string | undefined; readonly engine: { readonly size: number } }
    | undefined;
}

/** Adds the gauges of the logic process. */
export function observeLogic(metrics: Metrics, gauges: LogicGauges): void {
  metrics.gaugeOf("im_logic_entries", "Entries attached to this process.", gauges.entries);
  metrics.gaugeOf("im_logic_sessions", "Sessions whose commands come to this process.", gauges.sessions);
  metrics.gaugeOf("im_logic_parked_delivers", "Events that wait until their entry is attached.", gauges.parkedDelivers);
  metrics.gaugeOf("im_ack_pending", "Slots that wait for an acknowledgement, in the cluster.", gauges.ackPending);
  const lagHelp = "By how much deadlines were missed at the last look.";
  metrics.gaugeOf("im_ack_wheel_lag_seconds", lagHelp, () => gauges.ackWheelLagMs() / 1000);
  observePools(metrics, gauges.pools);
  if (gauges.watchingSessions) {
    metrics.gaugeOf("im_presence_watching_sessions", "Sessions that watch somebody.", gauges.watchingSessions);
  }
  const { policy } = gauges;
  if (policy) {
    metrics.gaugeOf("im_policy_rules", "Rules that messages are held against.", () => policy.rules);
    const validHelp = "1 while the rules are those of the file, 0 while the file is missing or wrong.";
    metrics.gaugeOf("im_policy_file_valid", validHelp, () => (policy.problem === undefined ? 1 : 0));
    metrics.gaugeOf("im_policy_keys", "Keys that rules count by, in memory.", () => policy.engine.size);
  }
  if (gauges.watchedUsers) {
    metrics.gaugeOf("im_presence_watched_users", "Users watched by sessions of this process.", gauges.watchedUsers);
  }
}

function observePools(metrics: Metrics, pools: LogicGauges["pools"]): void {
  const each = (of: (pool: { total: number; idle: number; waiting: number }) => number) => () =>
    Object.fromEntries(Object.entries(pools()).map(([name, pool]) => [name, of(pool)]));
  const busy = each(({ total, idle }) => total - idle);
  metrics.gaugesOf(
    "im_store_pool_connections",
    "Open connections to PostgreSQL.",
    "pool",
    each(({ total }) => total),
  );
  metrics.gaugesOf("im_store_pool_busy", "Connections to PostgreSQL in use.", "pool", busy);
  const waitingHelp = "Callers that wait for a connection to PostgreSQL.";
  metrics.gaugesOf(
    "im_store_pool_waiting",
    waitingHelp,
    "pool",
    each(({ waiting }) => waiting),
  );
}

/** Metrics nobody reads, for tests. */
export function unreadMetrics(): LogicMetrics {
  return createLogicMetrics(new Metrics());
}

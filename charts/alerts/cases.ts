// SPDX-License-Identifier: Apache-2.0
// For each alert: series under which it fires, and series under which it does not. Values are in promtool's notation, one every
// 15 s: "a+bxn" is a, a+b, ... n times more.

/** Series by name with labels, and what they are, one value every 15 s. */
export type Series = Readonly<Record<string, string>>;

/** When one alert fires, and when it must not. */
export interface AlertCase {
  alert: string;
  /** Looked at so long after the first value. */
  after: string;
  fires: Series;
  quiet: Series;
  /** How many alerts fire; default 1. */
  count?: number;
}

const T = 'namespace="shop",imcluster="im"';
const C = 'namespace="shop",name="im"';
const entries = (state: string): string => `im_cluster_entries{${C},state="${state}"}`;
const entry = (name: string, pod = "im-entry-a", more = ""): string => `${name}{${T},pod="${pod}"${more}}`;
const login = (result: string): string => `im_logic_logins_total{${T},result="${result}"}`;
const send = (result: string): string => `im_send_total{${T},result="${result}"}`;
const deliver = `im_logic_deliver_total{${T},result="delivered"}`;
/** Messages that an entry could not hand to any logic. */
const failed = (result: string): string => `im_entry_sends_failed_total{${T},pod="im-entry-a",result="${result}"}`;
const pods = (component: "logic" | "extlogic", state: string): string =>
  `im_cluster_${component}{${C},state="${state}"}`;
const phase = (name: string): string => `im_cluster_phase{${C},phase="${name}"}`;
const condition = (name: string): string => `im_cluster_condition{${C},condition="${name}"}`;
const blocked = (reason: string): string => `im_cluster_update_blocked{${C},reason="${reason}"}`;
const before = (result: string): string => `im_hook_before_total{${T},hook="fraud",result="${result}"}`;
const api = (status: number): string => `im_api_calls_total{${T},operation="sendMessage",tenant="",status="${status}"}`;
const push = (result: string): string => `im_push_total{${T},provider="apns",result="${result}"}`;

/** A histogram in which `slow` of `all` observations a step take between 2.5 and 5 s, the others less than 10 ms. */
function latencies(name: string, all: number, slow: number, more = ""): Series {
  const bucket = (le: string, perStep: number): [string, string] => [
    `${name}_bucket{${T}${more},le="${le}"}`,
    `0+${perStep}x240`,
  ];
  return Object.fromEntries([
    bucket("0.01", all - slow),
    bucket("2.5", all - slow),
    bucket("5", all),
    bucket("+Inf", all),
  ]);
}

/** The same, with the number of all. */
const countedLatencies = (name: string, all: number, slow: number): Series => ({
  ...latencies(name, all, slow),
  [`${name}_count{${T}}`]: `0+${all}x240`,
});

/** How long senders waited: less than 10 ms, or 1 to 2.5 s. */
const answers = (all: number, slow: number): Series => ({
  [`im_entry_answer_duration_seconds_bucket{${T},le="1"}`]: `0+${all - slow}x240`,
  [`im_entry_answer_duration_seconds_count{${T}}`]: `0+${all}x240`,
});

const drainTimes = (within5s: number, all: number): Series => ({
  [`im_operator_drain_offline_seconds_bucket{${C},le="5"}`]: `0+${within5s}x60`,
  [`im_operator_drain_offline_seconds_count{${C}}`]: `0+${all}x60`,
});

/** Recording rules that nothing fires by, with what they are under these series. */
export const RECORDED: readonly { record: string; series: Series; labels: string; value: number }[] = [
  {
    record: "imcluster:reconnect_slow:ratio_rate6h",
    series: drainTimes(3, 4),
    labels: `{${C}}`,
    value: 0.25,
  },
  // All of logic is gone: what entries refuse themselves is all that there is to be counted.
  {
    record: "imcluster:send_errors:ratio_rate5m",
    series: { [failed("retryable")]: "0+10x60", [failed("busy")]: "0x60" },
    labels: `{${T}}`,
    value: 1,
  },
];

export const CASES: readonly AlertCase[] = [
  {
    alert: "ImNoGateways",
    after: "2m",
    fires: { [entries("wanted")]: "3x20", [entries("ready")]: "0x20", [phase("Degraded")]: "1x20" },
    quiet: { [entries("wanted")]: "3x20", [entries("ready")]: "1x20" },
  },
  // One that is made just now has served nobody yet.
  {
    alert: "ImNoGateways",
    after: "2m",
    fires: { [entries("wanted")]: "3x20", [entries("ready")]: "0x20", [phase("Pending")]: "1x2 0x18" },
    quiet: { [entries("wanted")]: "3x20", [entries("ready")]: "0x20", [phase("Pending")]: "1x20" },
  },
  {
    alert: "ImGatewayDown",
    after: "5m",
    fires: { [entries("wanted")]: "3x40", [entries("ready")]: "3x8 2x32" },
    // Replaced within half a minute: nobody has to look.
    quiet: { [entries("wanted")]: "3x40", [entries("ready")]: "3x16 2x1 3x23" },
  },
  {
    alert: "ImGatewayDown",
    after: "5m",
    fires: { [entries("wanted")]: "3x40", [entries("ready")]: "1x40", [phase("Updating")]: "1x40" },
    quiet: { [entries("wanted")]: "3x40", [entries("ready")]: "1x40", [phase("Pending")]: "1x40" },
  },
  {
    alert: "ImConnectionsDropped",
    after: "9m",
    fires: { [entry("im_entry_connections")]: "10000x24 4000x40" },
    quiet: { [entry("im_entry_connections")]: "10000x24 8000x40" },
  },
  {
    alert: "ImConnectionSkew",
    after: "45m",
    fires: {
      [entry("im_entry_connections", "a")]: "9000x200",
      [entry("im_entry_connections", "b")]: "1000x200",
      [entry("im_entry_draining", "a")]: "0x200",
      [entry("im_entry_draining", "b")]: "0x200",
    },
    // The one with few is being drained.
    quiet: {
      [entry("im_entry_connections", "a")]: "9000x200",
      [entry("im_entry_connections", "b")]: "1000x200",
      [entry("im_entry_draining", "a")]: "0x200",
      [entry("im_entry_draining", "b")]: "1x200",
    },
  },
  {
    alert: "ImGatewayNearConnectionLimit",
    after: "10m",
    // The second entry takes none, so its limit is no room.
    fires: {
      [entry("im_entry_connections", "a")]: "9000x60",
      [entry("im_entry_connections_limit", "a")]: "10000x60",
      [entry("im_entry_connections_limit", "b")]: "10000x60",
      [entry("im_entry_ready", "a")]: "1x60",
      [entry("im_entry_ready", "b")]: "0x60",
    },
    quiet: {
      [entry("im_entry_connections", "a")]: "9000x60",
      [entry("im_entry_connections_limit", "a")]: "10000x60",
      [entry("im_entry_connections_limit", "b")]: "10000x60",
      [entry("im_entry_ready", "a")]: "1x60",
      [entry("im_entry_ready", "b")]: "1x60",
    },
  },
  {
    alert: "ImHandshakeFailures",
    after: "15m",
    fires: {
      [entry("im_entry_handshake_failures_total", "a", ',stage="tls"')]: "0+60x80",
      [entry("im_entry_connections_opened_total")]: "0+100x80",
    },
    quiet: {
      [entry("im_entry_handshake_failures_total", "a", ',stage="tls"')]: "0+60x80",
      [entry("im_entry_connections_opened_total")]: "0+1000x80",
    },
  },
  {
    alert: "ImClientsRefused",
    after: "10m",
    fires: { [entry("im_entry_refused_total", "a", ',reason="lag"')]: "0+5x60" },
    // Somebody's own limits turn somebody away: that is what they are for.
    quiet: { [entry("im_entry_refused_total", "a", ',reason="address_rate"')]: "0+5x60" },
  },
  {
    alert: "ImSlowConsumersHigh",
    after: "15m",
    fires: {
      [entry("im_entry_slow_consumers_total")]: "0+60x80",
      [entry("im_entry_connections")]: "10000x80",
    },
    quiet: {
      [entry("im_entry_slow_consumers_total")]: "0+6x80",
      [entry("im_entry_connections")]: "10000x80",
    },
  },
  {
    alert: "ImCertificateExpiring",
    after: "20m",
    // promtool's clock begins at 0.
    fires: { [entry("im_entry_certificate_expiry_timestamp_seconds")]: `${6 * 86_400}x100` },
    quiet: {
      [entry("im_entry_certificate_expiry_timestamp_seconds", "a")]: `${30 * 86_400}x100`,
      // Without TLS of its own.
      [entry("im_entry_certificate_expiry_timestamp_seconds", "b")]: "0x100",
    },
  },
  {
    alert: "ImSendErrorBudgetBurnFast",
    after: "30m",
    fires: { [send("stored")]: "0+950x130", [send("retryable")]: "0+50x130" },
    // Refusals that the client caused do not count, however many.
    quiet: { [send("stored")]: "0+999x130", [send("retryable")]: "0+1x130", [send("invalid")]: "0+900x130" },
  },
  // Logic is gone for a while: what entries refuse themselves counts.
  {
    alert: "ImSendErrorBudgetBurnFast",
    after: "30m",
    fires: { [send("stored")]: "0+950x90 85500x40", [send("busy")]: "0x130", [failed("retryable")]: "0x90 0+100x40" },
    quiet: { [send("stored")]: "0+950x130", [send("busy")]: "0x130", [failed("retryable")]: "0x90 1x40" },
  },
  {
    alert: "ImSendErrorBudgetBurnSlow",
    after: "55m",
    fires: { [send("stored")]: "0+990x230", [send("busy")]: "0+10x230" },
    quiet: { [send("stored")]: "0+997x230", [send("busy")]: "0+3x230" },
  },
  {
    alert: "ImSendLatencyHigh",
    after: "15m",
    fires: latencies("im_send_duration_seconds", 100, 3),
    quiet: latencies("im_send_duration_seconds", 1000, 3),
  },
  {
    alert: "ImAnswersSlow",
    after: "15m",
    fires: answers(100, 20),
    quiet: answers(100, 3),
  },
  // For hours, and not so much.
  {
    alert: "ImAnswersSlow",
    after: "55m",
    fires: answers(100, 8),
    quiet: answers(100, 5),
  },
  {
    alert: "ImStoreLatencyHigh",
    after: "15m",
    fires: latencies("im_send_commit_duration_seconds", 100, 3, ',result="ok"'),
    quiet: latencies("im_send_commit_duration_seconds", 1000, 3, ',result="ok"'),
  },
  {
    alert: "ImStorePoolExhausted",
    after: "6m",
    fires: {
      [entry("im_store_pool_waiting", "l1", ',pool="append"')]: "5x40",
      [entry("im_store_pool_waiting", "l2", ',pool="append"')]: "9x40",
    },
    quiet: {
      [entry("im_store_pool_waiting", "l1", ',pool="append"')]: "5x40",
      [entry("im_store_pool_waiting", "l2", ',pool="append"')]: "9 0x39",
    },
  },
  {
    alert: "ImUplinkErrors",
    after: "15m",
    // One of two logics ends every minute: half of the streams, again and again.
    fires: { [entry("im_entry_uplinks_lost_total")]: "0+0.75x80", [entry("im_entry_uplinks")]: "6x80" },
    // A rollout of logic in a large fleet ends each stream once.
    quiet: { [entry("im_entry_uplinks_lost_total")]: "0x20 0+25x20 500x40", [entry("im_entry_uplinks")]: "500x80" },
  },
  {
    alert: "ImUplinkDown",
    after: "5m",
    fires: { [entry("im_entry_uplinks")]: "2x4 0x40" },
    quiet: { [entry("im_entry_uplinks")]: "2x4 0x2 2x40" },
  },
  {
    alert: "ImAuthFailures",
    after: "15m",
    fires: { [login("ok")]: "0+100x80", [login("token_expired")]: "0+60x80" },
    quiet: { [login("ok")]: "0+100x80", [login("token_expired")]: "0+10x80", [login("flapping")]: "0+60x80" },
  },
  {
    alert: "ImLoginsFailing",
    after: "10m",
    fires: { [login("ok")]: "0+100x80", [login("store_away")]: "0+10x80" },
    quiet: { [login("ok")]: "0+100x80", [login("store_away")]: "0+1x80", [login("token_expired")]: "0+10x80" },
  },
  {
    alert: "ImLogicDown",
    after: "10m",
    fires: { [pods("logic", "wanted")]: "3x80", [pods("logic", "ready")]: "3x8 2x72" },
    // A rollout is over sooner; one that is made just now has served nobody yet.
    quiet: { [pods("logic", "wanted")]: "3x80", [pods("logic", "ready")]: "3x28 2x8 3x44" },
  },
  {
    alert: "ImLogicDown",
    after: "10m",
    fires: { [pods("logic", "wanted")]: "3x80", [pods("logic", "ready")]: "0x80", [phase("Degraded")]: "1x80" },
    quiet: { [pods("logic", "wanted")]: "3x80", [pods("logic", "ready")]: "0x80", [phase("Pending")]: "1x80" },
  },
  {
    alert: "ImApiErrors",
    after: "15m",
    fires: { [api(200)]: "0+90x80", [api(503)]: "0+10x80" },
    // Whatever a backend does wrong is no fault of ours.
    quiet: { [api(200)]: "0+98x80", [api(503)]: "0+2x80", [api(422)]: "0+90x80", [api(429)]: "0+90x80" },
  },
  {
    alert: "ImPolicyFileInvalid",
    after: "5m",
    // In one of two pods.
    fires: { [entry("im_policy_file_valid", "l1")]: "1x40", [entry("im_policy_file_valid", "l2")]: "1x4 0x36" },
    // A ConfigMap is replaced in two steps.
    quiet: { [entry("im_policy_file_valid", "l1")]: "1x40", [entry("im_policy_file_valid", "l2")]: "1x16 0x2 1x22" },
  },
  {
    alert: "ImHookBeforeFailing",
    after: "15m",
    fires: { [before("allow")]: "0+80x80", [before("failed")]: "0+15x80", [before("open")]: "0+5x80" },
    quiet: { [before("allow")]: "0+60x80", [before("block")]: "0+35x80", [before("failed")]: "0+5x80" },
  },
  {
    alert: "ImAckTimeoutsHigh",
    after: "30m",
    fires: { [`im_ack_timeouts_total{${T}}`]: "0+30x130", [deliver]: "0+100x130" },
    quiet: { [`im_ack_timeouts_total{${T}}`]: "0+30x130", [deliver]: "0+1000x130" },
  },
  {
    alert: "ImDeliveryLatencyHigh",
    after: "20m",
    fires: countedLatencies("im_entry_delivery_duration_seconds", 100, 20),
    quiet: countedLatencies("im_entry_delivery_duration_seconds", 100, 3),
  },
  // A handful of people at night.
  {
    alert: "ImDeliveryLatencyHigh",
    after: "20m",
    fires: countedLatencies("im_entry_delivery_duration_seconds", 10, 10),
    quiet: countedLatencies("im_entry_delivery_duration_seconds", 2, 2),
  },
  {
    alert: "ImAckWheelLag",
    after: "5m",
    fires: { [`im_ack_wheel_lag_seconds{${T}}`]: "8x30" },
    quiet: { [`im_ack_wheel_lag_seconds{${T}}`]: "1x10 8x1 1x20" },
  },
  {
    alert: "ImRouterErrors",
    after: "10m",
    fires: { [`im_router_faults_total{${T},op="lookup"}`]: "0+30x60" },
    quiet: { [`im_router_faults_total{${T},op="lookup"}`]: "0+1x60" },
  },
  {
    alert: "ImStaleRoutesHigh",
    after: "30m",
    fires: { [`im_router_stale_routes_total{${T}}`]: "0+20x130", [deliver]: "0+100x130" },
    quiet: { [`im_router_stale_routes_total{${T}}`]: "0+20x130", [deliver]: "0+1000x130" },
  },
  {
    alert: "ImPurgesHeld",
    after: "5m",
    fires: { [`im_router_purges_held_total{${T}}`]: "0x4 1x40" },
    quiet: { [`im_router_purges_held_total{${T}}`]: "1x40" },
  },
  {
    alert: "ImOutboxStalled",
    after: "10m",
    fires: { [`im_push_stream_oldest_seconds{${T}}`]: "0+15x60" },
    quiet: { [`im_push_stream_oldest_seconds{${T}}`]: "3x60" },
  },
  // Intents flow, and what comes after the first push of a plan (WeChat, SMS) does not.
  {
    alert: "ImOutboxStalled",
    after: "10m",
    fires: {
      [`im_push_stream_oldest_seconds{${T}}`]: "3x60",
      [`im_push_steps_overdue_seconds{${T},pod="x"}`]: "0+15x60",
    },
    quiet: { [`im_push_stream_oldest_seconds{${T}}`]: "3x60", [`im_push_steps_overdue_seconds{${T},pod="x"}`]: "5x60" },
  },
  {
    alert: "ImExtlogicDown",
    after: "5m",
    fires: { [pods("extlogic", "wanted")]: "1x40", [pods("extlogic", "ready")]: "1x4 0x36" },
    // Somebody wants none.
    quiet: { [pods("extlogic", "wanted")]: "0x40", [pods("extlogic", "ready")]: "0x40" },
  },
  {
    alert: "ImExtlogicDown",
    after: "5m",
    fires: { [pods("extlogic", "wanted")]: "2x40", [pods("extlogic", "ready")]: "0x40", [phase("Degraded")]: "1x40" },
    quiet: { [pods("extlogic", "wanted")]: "2x40", [pods("extlogic", "ready")]: "0x40", [phase("Pending")]: "1x40" },
  },
  {
    alert: "ImPushesLate",
    after: "40m",
    fires: { [`im_push_owed_total{${T}}`]: "0+20x240", [push("accepted")]: "0+100x240" },
    quiet: { [`im_push_owed_total{${T}}`]: "0+5x240", [push("accepted")]: "0+100x240" },
  },
  // Redis was lost, once, and is back.
  {
    alert: "ImPushesLate",
    after: "50m",
    fires: { [`im_push_owed_total{${T}}`]: "0+8x240", [push("accepted")]: "0+100x240" },
    quiet: { [`im_push_owed_total{${T}}`]: "0x100 0+40x20 800x120", [push("accepted")]: "0+100x240" },
  },
  {
    alert: "ImPushFailures",
    after: "25m",
    fires: { [push("accepted")]: "0+100x130", [push("failed")]: "0+50x130" },
    // Dead addresses, and pushes that somebody's reading made needless, are no fault of the provider.
    quiet: { [push("accepted")]: "0+100x130", [push("gone")]: "0+90x130", [push("cancelled")]: "0+90x130" },
  },
  {
    alert: "ImPushBreakerOpen",
    after: "10m",
    fires: { [`im_push_breaker_open{${T},provider="fcm"}`]: "1x60" },
    quiet: { [`im_push_breaker_open{${T},provider="fcm"}`]: "1x10 0x50" },
  },
  {
    alert: "ImPushDeadLetters",
    after: "10m",
    fires: { [`im_push_dead_letters_total{${T},reason="attempts"}`]: "0x4 2x60" },
    quiet: { [`im_push_dead_letters_total{${T},reason="attempts"}`]: "2x60" },
  },
  {
    alert: "ImHookLate",
    after: "15m",
    fires: { [`im_hook_oldest_seconds{${T},hook="shop"}`]: "60+15x120" },
    quiet: { [`im_hook_oldest_seconds{${T},hook="shop"}`]: "200x120" },
  },
  // Nothing comes into the log, so each hook seems to know everything.
  {
    alert: "ImHookLate",
    after: "15m",
    fires: {
      [`im_hook_outbox_oldest_seconds{${T}}`]: "60+15x120",
      [`im_hook_oldest_seconds{${T},hook="shop"}`]: "0x120",
    },
    quiet: { [`im_hook_outbox_oldest_seconds{${T}}`]: "2x120", [`im_hook_oldest_seconds{${T},hook="shop"}`]: "0x120" },
  },
  {
    alert: "ImHookDead",
    after: "15m",
    fires: { [`im_hook_dead{${T},hook="shop"}`]: "0x4 2x120" },
    // Replayed at once.
    quiet: { [`im_hook_dead{${T},hook="shop"}`]: "2x8 0x120" },
  },
  {
    alert: "ImEventLoopLag",
    after: "10m",
    fires: { [entry("nodejs_eventloop_lag_p99_seconds", "a", ',component="entry"')]: "0.4x60" },
    quiet: { [entry("nodejs_eventloop_lag_p99_seconds", "a", ',component="entry"')]: "0.03x60" },
  },
  {
    alert: "ImMetricsAbsent",
    after: "10m",
    fires: { [entries("ready")]: "3x60" },
    quiet: { [entries("ready")]: "3x60", [entry("im_entry_ready")]: "1x60" },
  },
  // Of logic and of extlogic nothing is known; each is an alert of its own.
  {
    alert: "ImMetricsAbsent",
    after: "10m",
    count: 2,
    fires: {
      [entries("ready")]: "3x60",
      [entry("im_entry_ready")]: "1x60",
      [pods("logic", "ready")]: "2x60",
      [pods("extlogic", "ready")]: "1x60",
    },
    quiet: {
      [entries("ready")]: "3x60",
      [entry("im_entry_ready")]: "1x60",
      [pods("logic", "ready")]: "2x60",
      [entry("im_logic_entries", "l1")]: "3x60",
      [pods("extlogic", "ready")]: "1x60",
      [entry("im_push_stream_length", "x1")]: "0x60",
    },
  },
  {
    alert: "ImPodRestarts",
    after: "30m",
    fires: { [entry("process_start_time_seconds", "l1", ',component="logic"')]: "100x20 400x20 700x20 1000x80" },
    // Another process of this host, and one that was replaced.
    quiet: {
      'process_start_time_seconds{job="node"}': "100x20 400x20 700x20 1000x80",
      [entry("process_start_time_seconds", "l1", ',component="logic"')]: "100x20 400x120",
    },
  },
  {
    alert: "ImRetentionFailing",
    after: "70m",
    fires: { [`im_retention_steps_total{${T},step="round",result="failed"}`]: "0+0.25x300" },
    quiet: {
      [`im_retention_steps_total{${T},step="round",result="failed"}`]: "0x40 0+1x4 4x256",
      [`im_retention_steps_total{${T},step="partitions",result="busy"}`]: "0+0.25x300",
    },
  },
  {
    alert: "ImErasureFailing",
    after: "40m",
    fires: { [`im_erasure_steps_total{${T},stage="groups",result="failed"}`]: "0+1x200" },
    quiet: {
      [`im_erasure_steps_total{${T},stage="groups",result="failed"}`]: "0x40 0+1x4 4x156",
      [`im_erasure_steps_total{${T},stage="groups",result="more"}`]: "0+9x200",
    },
  },
  {
    alert: "ImAuditLost",
    after: "10m",
    fires: { [`im_api_audit_lost_total{${T}}`]: "0x4 3x60" },
    quiet: { [`im_api_audit_lost_total{${T}}`]: "3x60" },
  },
  {
    alert: "ImOperatorNoLeader",
    after: "5m",
    fires: {
      'im_operator_leader{namespace="ops",pod="a"}': "0x40",
      'im_operator_leader{namespace="ops",pod="b"}': "0x40",
    },
    quiet: {
      'im_operator_leader{namespace="ops",pod="a"}': "0x40",
      'im_operator_leader{namespace="ops",pod="b"}': "1x40",
    },
  },
  // Nobody is scraped: no operator runs.
  { alert: "ImOperatorNoLeader", after: "5m", fires: {}, quiet: { 'im_operator_leader{namespace="ops"}': "1x40" } },
  {
    alert: "ImReconcileErrors",
    after: "30m",
    fires: {
      'im_operator_reconcile_total{namespace="ops",result="ok"}': "0+10x130",
      'im_operator_reconcile_total{namespace="ops",result="failed"}': "0+10x130",
    },
    quiet: {
      'im_operator_reconcile_total{namespace="ops",result="ok"}': "0+10x130",
      'im_operator_reconcile_total{namespace="ops",result="failed"}': "0+1x130",
    },
  },
  {
    alert: "ImClusterNotReady",
    after: "15m",
    fires: { [`im_cluster_phase{${C},phase="Degraded"}`]: "1x80", [`im_cluster_phase{${C},phase="Ready"}`]: "0x80" },
    quiet: { [`im_cluster_phase{${C},phase="Degraded"}`]: "0x80", [`im_cluster_phase{${C},phase="Ready"}`]: "1x80" },
  },
  {
    alert: "ImDrainStuck",
    after: "90m",
    fires: { [entries("draining")]: "1x400", [`im_operator_drains_total{${C},reason="Update"}`]: "0 4x400" },
    quiet: { [entries("draining")]: "1x150 0x1 1x249" },
  },
  // A large update goes on: one entry after the other gets done.
  {
    alert: "ImDrainStuck",
    after: "90m",
    fires: {
      [entries("draining")]: "2x400",
      [`im_operator_drains_total{${C},reason="Update"}`]: "4x400",
      // Of another ImCluster.
      'im_operator_drains_total{namespace="shop",name="other",reason="Update"}': "0+1x400",
    },
    quiet: { [entries("draining")]: "2x400", [`im_operator_drains_total{${C},reason="Update"}`]: "0+0.05x400" },
  },
  {
    alert: "ImReconnectSlow",
    after: "14m",
    fires: drainTimes(2, 4),
    quiet: drainTimes(9, 10),
  },
  {
    alert: "ImDrainLeftRoutes",
    after: "10m",
    fires: { [`im_operator_drain_routes_left_total{${C}}`]: "0x4 3x60" },
    quiet: { [`im_operator_drain_routes_left_total{${C}}`]: "0x60" },
  },
  {
    alert: "ImSpecIgnored",
    after: "15m",
    fires: { [`im_cluster_generation_lag{${C}}`]: "0x4 1x100" },
    quiet: { [`im_cluster_generation_lag{${C}}`]: "0x4 1x8 0x92" },
  },
  {
    alert: "ImUpdateBlocked",
    after: "15m",
    fires: { [blocked("CanaryFailed")]: "0x8 1x200" },
    // It waits for the night.
    quiet: { [blocked("CanaryFailed")]: "1x20 0x180", [blocked("OutsideWindow")]: "1x200" },
  },
  {
    alert: "ImScalingLimited",
    after: "20m",
    fires: { [condition("ScalingLimited")]: "1x100" },
    quiet: { [condition("ScalingLimited")]: "1x40 0x60", [condition("Ready")]: "1x100" },
  },
  {
    alert: "ImGhostRoutes",
    after: "20m",
    fires: { [`im_operator_ghost_routes{${C}}`]: "4x100" },
    quiet: { [`im_operator_ghost_routes{${C}}`]: "4x20 0x80" },
  },
];

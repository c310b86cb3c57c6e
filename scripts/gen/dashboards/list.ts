// SPDX-License-Identifier: Apache-2.0
import type { Dashboard, Panel, Query, Row, Unit } from "./grafana.ts";

const lines = (title: string, unit: Unit, ...queries: [expr: string, legend: string][]): Panel => ({
  title,
  unit,
  queries: queries.map(([expr, legend]): Query => ({ expr, legend })),
});
const number = (title: string, unit: Unit, expr: string, about?: string): Panel => ({
  ...{ title, unit, isNumber: true, queries: [{ expr, legend: "" }] },
  ...(about === undefined ? {} : { about }),
});
const rate = (metric: string, by: string, more = ""): string =>
  `sum by (${by}) (rate(${metric}{$on${more}}[$__rate_interval]))`;
const quantile = (q: number, metric: string, by = ""): string =>
  `histogram_quantile(${q}, sum by (le${by && `, ${by}`}) (rate(${metric}_bucket{$on}[$__rate_interval])))`;

/** By component, what Node says of its own process. */
const PROCESSES: Row = {
  title: "Processes",
  panels: [
    lines("Event loop lag, p99", "s", [
      "max by (component, pod) (nodejs_eventloop_lag_p99_seconds{$on})",
      "{{component}} {{pod}}",
    ]),
    lines("CPU", "short", [
      'sum by (component, pod) (rate(process_cpu_seconds_total{$on,component!=""}[$__rate_interval]))',
      "{{component}} {{pod}}",
    ]),
    lines("Memory", "bytes", [
      'max by (component, pod) (process_resident_memory_bytes{$on,component!=""})',
      "{{component}} {{pod}}",
    ]),
    lines("Garbage collection", "percentunit", [
      "sum by (component, pod) (rate(nodejs_gc_duration_seconds_sum{$on}[$__rate_interval]))",
      "{{component}} {{pod}}",
    ]),
    lines("Starts within an hour", "short", [
      'sum by (component, pod) (changes(process_start_time_seconds{$on,component!=""}[1h]))',
      "{{component}} {{pod}}",
    ]),
  ],
};

const OVERVIEW: Dashboard = {
  uid: "imcluster-overview",
  title: "ImCluster / Overview",
  rows: [
    {
      title: "Now",
      panels: [
        number("Connections", "short", "sum(im_entry_connections{$on})"),
        number(
          "Sends answered well",
          "percentunit",
          '1 - (sum(rate(im_send_total{$on,result=~"busy|retryable"}[5m]) or rate(im_entry_sends_failed_total{$on}[5m])) / sum(rate(im_send_total{$on}[5m]) or rate(im_entry_sends_failed_total{$on}[5m])))',
          "Of all sends, also of those that no logic was handed, those that failed for no reason of ours. Promised: 99.9 %.",
        ),
        number(
          "Answers to senders, p99",
          "s",
          quantile(0.99, "im_entry_answer_duration_seconds"),
          "From SEND to logic's answer, as entries see it.",
        ),
        number(
          "Delivery to acknowledgement, p95",
          "s",
          quantile(0.95, "im_entry_delivery_duration_seconds"),
          "From the entry's writing to the socket on. A device gathers what it acknowledges for 0.2 s.",
        ),
        number("Oldest push", "s", "max(im_push_stream_oldest_seconds{$on})"),
      ],
    },
    {
      title: "Traffic",
      panels: [
        lines("Sends by result", "ops", [rate("im_send_total", "result"), "{{result}}"]),
        lines("Deliveries by what became of them", "ops", [rate("im_logic_deliver_total", "result"), "{{result}}"]),
        lines("Pushes by result", "ops", [rate("im_push_total", "provider, result"), "{{provider}} {{result}}"]),
        lines("Logins by result", "ops", [rate("im_logic_logins_total", "result"), "{{result}}"]),
      ],
    },
    {
      title: "Fleet",
      panels: [
        lines("Connections by entry", "short", ["sum by (pod) (im_entry_connections{$on})", "{{pod}}"]),
        lines("Entries", "short", ["sum(im_entry_ready{$on})", "ready"], ["sum(im_entry_draining{$on})", "draining"]),
        lines("Streams between entry and logic", "short", ["sum by (pod) (im_entry_uplinks{$on})", "{{pod}}"]),
      ],
    },
    PROCESSES,
  ],
};

const ENTRY: Dashboard = {
  uid: "imcluster-entry",
  title: "ImCluster / Entry",
  rows: [
    {
      title: "Connections",
      panels: [
        lines(
          "Open",
          "short",
          ["im_entry_connections{$on}", "{{pod}}"],
          ["sum(im_entry_connections_limit{$on})", "limit of all"],
        ),
        lines("Opened", "cps", [rate("im_entry_connections_opened_total", "pod"), "{{pod}}"]),
        lines("Closed by reason", "cps", [rate("im_entry_connections_closed_total", "reason"), "{{reason}}"]),
        lines("Turned away", "cps", [rate("im_entry_refused_total", "reason"), "{{reason}}"]),
      ],
    },
    {
      title: "Logins and round trips",
      panels: [
        lines(
          "Login, HELLO to answer",
          "s",
          [quantile(0.5, "im_entry_login_duration_seconds"), "p50"],
          [quantile(0.99, "im_entry_login_duration_seconds"), "p99"],
        ),
        lines(
          "Round trip of clients",
          "s",
          [quantile(0.5, "im_entry_round_trip_seconds"), "p50"],
          [quantile(0.95, "im_entry_round_trip_seconds"), "p95"],
        ),
        lines("Days until the certificate ends", "short", [
          "(min(im_entry_certificate_expiry_timestamp_seconds{$on} > 0) - time()) / 86400",
          "days",
        ]),
      ],
    },
    {
      title: "Frames",
      panels: [
        lines(
          "Frames",
          "ops",
          [rate("im_entry_frames_in_total", "pod"), "in {{pod}}"],
          [rate("im_entry_frames_out_total", "pod"), "out {{pod}}"],
        ),
        lines(
          "Bytes",
          "Bps",
          [rate("im_entry_bytes_in_total", "pod"), "in {{pod}}"],
          [rate("im_entry_bytes_out_total", "pod"), "out {{pod}}"],
        ),
        lines("Frames in one write", "short", [
          "sum by (pod) (rate(im_entry_frames_out_total{$on}[$__rate_interval])) / sum by (pod) (rate(im_entry_socket_writes_total{$on}[$__rate_interval]))",
          "{{pod}}",
        ]),
        lines(
          "Slow clients",
          "ops",
          [rate("im_entry_deliveries_dropped_total", "pod"), "to be pulled {{pod}}"],
          [rate("im_entry_slow_consumers_total", "pod"), "closed {{pod}}"],
          [rate("im_entry_reads_paused_total", "pod"), "not read for a while {{pod}}"],
        ),
      ],
    },
    {
      title: "To logic",
      panels: [
        lines(
          "Commands",
          "ops",
          [rate("im_entry_commands_total", "pod"), "forwarded {{pod}}"],
          [rate("im_entry_commands_rejected_total", "pod"), "answered BUSY {{pod}}"],
        ),
        lines("Messages that no logic was handed", "ops", [
          rate("im_entry_sends_failed_total", "pod, result"),
          "{{result}} {{pod}}",
        ]),
        lines("Waits for logic", "bytes", ["im_entry_uplink_queue_bytes{$on}", "{{pod}}"]),
        lines("Commands in one batch", "short", [
          "sum by (pod) (rate(im_entry_commands_total{$on}[$__rate_interval])) / sum by (pod) (rate(im_entry_uplink_batches_total{$on}[$__rate_interval]))",
          "{{pod}}",
        ]),
        lines("Deliveries for nobody", "ops", [rate("im_entry_unreachable_total", "pod"), "{{pod}}"]),
      ],
    },
  ],
};

const DELIVERY: Dashboard = {
  uid: "imcluster-delivery",
  title: "ImCluster / Delivery",
  rows: [
    {
      title: "Send",
      panels: [
        lines(
          "SEND to the committed answer",
          "s",
          [quantile(0.5, "im_send_duration_seconds"), "p50"],
          [quantile(0.99, "im_send_duration_seconds"), "p99"],
        ),
        lines(
          "SEND to the answer, at the entries",
          "s",
          [quantile(0.5, "im_entry_answer_duration_seconds"), "p50"],
          [quantile(0.99, "im_entry_answer_duration_seconds"), "p99"],
        ),
        lines("Sends that failed, by pod", "ops", [
          rate("im_send_total", "pod, result", ',result=~"busy|retryable"'),
          "{{result}} {{pod}}",
        ]),
        lines(
          "One transaction",
          "s",
          [quantile(0.5, "im_send_commit_duration_seconds"), "p50"],
          [quantile(0.99, "im_send_commit_duration_seconds"), "p99"],
        ),
        lines(
          "Messages in one transaction",
          "short",
          [quantile(0.5, "im_send_commit_messages"), "p50"],
          [quantile(0.99, "im_send_commit_messages"), "p99"],
        ),
        lines(
          "Connections to PostgreSQL",
          "short",
          ["sum by (pool) (im_store_pool_busy{$on})", "busy {{pool}}"],
          ["sum by (pool) (im_store_pool_waiting{$on})", "waiting {{pool}}"],
        ),
      ],
    },
    {
      title: "Stores",
      panels: [
        lines("Slowest statements, p99", "s", [
          "topk(8, histogram_quantile(0.99, sum by (le, query) (rate(im_store_query_duration_seconds_bucket{$on}[$__rate_interval]))))",
          "{{query}}",
        ]),
        lines("Statements that failed, by pod", "ops", [
          rate("im_store_errors_total", "code, pod"),
          "{{code}} {{pod}}",
        ]),
        lines("Router, p99", "s", [quantile(0.99, "im_router_operation_duration_seconds", "op"), "{{op}}"]),
      ],
    },
    {
      title: "Acknowledgements",
      panels: [
        lines(
          "Delivery to acknowledgement",
          "s",
          [quantile(0.5, "im_entry_delivery_duration_seconds"), "p50"],
          [quantile(0.95, "im_entry_delivery_duration_seconds"), "p95"],
        ),
        lines("Delivery to acknowledgement, p95 by entry", "s", [
          quantile(0.95, "im_entry_delivery_duration_seconds", "pod"),
          "{{pod}}",
        ]),
        lines("Slots that wait", "short", ["max(im_ack_pending{$on})", "in the cluster"]),
        lines("Not acknowledged in time", "ops", ["sum(rate(im_ack_timeouts_total{$on}[$__rate_interval]))", "slots"]),
        lines("Deadlines missed by", "s", ["max by (pod) (im_ack_wheel_lag_seconds{$on})", "{{pod}}"]),
        lines("Stale routes", "ops", ["sum(rate(im_router_stale_routes_total{$on}[$__rate_interval]))", "routes"]),
      ],
    },
    {
      title: "People who are away",
      panels: [
        lines("Reading by kind", "ops", [rate("im_logic_reads_total", "kind, result"), "{{kind}} {{result}}"]),
        lines("One page", "s", [quantile(0.99, "im_logic_read_duration_seconds", "kind"), "p99 {{kind}}"]),
        lines("Push intents", "ops", [rate("im_push_intents_total", "result"), "{{result}}"]),
        lines("Pushes found late", "ops", ["sum(rate(im_push_owed_total{$on}[$__rate_interval]))", "pushes"]),
      ],
    },
    {
      title: "Providers",
      panels: [
        lines("One call", "s", [quantile(0.99, "im_push_duration_seconds", "provider"), "p99 {{provider}}"]),
        lines(
          "Under way and waiting",
          "short",
          ["sum by (provider) (im_push_running{$on})", "running {{provider}}"],
          ["sum by (provider) (im_push_waiting{$on})", "waiting {{provider}}"],
        ),
        lines(
          "Queue",
          "short",
          ["max(im_push_stream_length{$on})", "intents"],
          ["max(im_push_steps_waiting{$on})", "delayed steps"],
        ),
        lines(
          "Oldest",
          "s",
          ["max(im_push_stream_oldest_seconds{$on})", "intent"],
          ["max(im_push_steps_overdue_seconds{$on})", "overdue step"],
        ),
      ],
    },
  ],
};

const OPERATOR: Dashboard = {
  uid: "imcluster-operator",
  title: "ImCluster / Operator",
  rows: [
    {
      title: "ImClusters",
      panels: [
        lines("Phase", "short", [
          "max by (namespace, name, phase) (im_cluster_phase{$cluster}) == 1",
          "{{namespace}}/{{name}} {{phase}}",
        ]),
        lines("Entries", "short", [
          "max by (namespace, name, state) (im_cluster_entries{$cluster})",
          "{{namespace}}/{{name}} {{state}}",
        ]),
        lines(
          "Logic and extlogic",
          "short",
          ["max by (namespace, name, state) (im_cluster_logic{$cluster})", "{{namespace}}/{{name}} logic {{state}}"],
          [
            "max by (namespace, name, state) (im_cluster_extlogic{$cluster})",
            "{{namespace}}/{{name}} extlogic {{state}}",
          ],
        ),
        lines("Conditions that are True", "short", [
          "max by (namespace, name, condition) (im_cluster_condition{$cluster}) == 1",
          "{{namespace}}/{{name}} {{condition}}",
        ]),
        lines("Sessions", "short", [
          "max by (namespace, name) (im_cluster_sessions{$cluster})",
          "{{namespace}}/{{name}}",
        ]),
        lines("Spec changes not looked at yet", "short", [
          "max by (namespace, name) (im_cluster_generation_lag{$cluster})",
          "{{namespace}}/{{name}}",
        ]),
      ],
    },
    {
      title: "Drains",
      panels: [
        lines("Sessions of drained entries", "ops", [
          "sum by (namespace, name, outcome) (rate(im_operator_drained_sessions_total{$cluster}[$__rate_interval]))",
          "{{namespace}}/{{name}} {{outcome}}",
        ]),
        lines("Routes left by drains", "short", [
          "sum by (namespace, name) (im_operator_drain_routes_left_total{$cluster})",
          "{{namespace}}/{{name}}",
        ]),
        lines("Ghost routes", "short", [
          "max by (namespace, name) (im_operator_ghost_routes{$cluster})",
          "{{namespace}}/{{name}}",
        ]),
      ],
    },
    {
      title: "Work",
      panels: [
        lines("Leader", "short", ["im_operator_leader", "{{pod}}"]),
        lines("Passes", "ops", ["sum by (result) (rate(im_operator_reconcile_total[$__rate_interval]))", "{{result}}"]),
        lines("One pass", "s", [
          "histogram_quantile(0.99, sum by (le) (rate(im_operator_reconcile_duration_seconds_bucket[$__rate_interval])))",
          "p99",
        ]),
        lines("Queue", "short", ["sum(im_operator_queue_depth)", "ImClusters"]),
      ],
    },
    {
      title: "Kubernetes API",
      panels: [
        lines("Calls", "ops", [
          "sum by (method, status) (rate(im_operator_api_calls_total[$__rate_interval]))",
          "{{method}} {{status}}",
        ]),
        lines("One call", "s", [
          "histogram_quantile(0.99, sum by (le, method) (rate(im_operator_api_call_duration_seconds_bucket[$__rate_interval])))",
          "p99 {{method}}",
        ]),
        lines("Writes that changed something", "ops", [
          "sum by (action) (rate(im_operator_actions_total[$__rate_interval]))",
          "{{action}}",
        ]),
      ],
    },
  ],
};

/** Every dashboard that the im-operator chart installs, by the name of its file. */
export const DASHBOARDS: Readonly<Record<string, Dashboard>> = {
  overview: OVERVIEW,
  entry: ENTRY,
  delivery: DELIVERY,
  operator: OPERATOR,
};

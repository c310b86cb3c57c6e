// SPDX-License-Identifier: Apache-2.0
import type { Service } from "../../kube/types.ts";
import { type Component, PORT, selectorLabels } from "../names.ts";
import { type BuildContext, owned, perContext } from "./context.ts";

function service(context: BuildContext, component: Component, spec: Service["spec"], annotations = {}): Service {
  const names: Partial<Record<Component, string>> = { ...context.names, migrate: undefined };
  return owned(context, component, {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: names[component] ?? component, annotations },
    spec: { ...spec, selector: selectorLabels(context.cluster.metadata.name, component) },
  });
}

/** Where clients connect. Its selector never names a lifecycle label: flipping one cuts live connections on some networks. */
export const entryService = perContext((context: BuildContext): Service => {
  const wanted = context.cluster.spec.entry.service;
  return service(
    context,
    "entry",
    {
      type: wanted.type as Service["spec"]["type"],
      ...(wanted.type === "ClusterIP" ? {} : { externalTrafficPolicy: wanted.externalTrafficPolicy ?? "Cluster" }),
      ...(wanted.loadBalancerClass ? { loadBalancerClass: wanted.loadBalancerClass } : {}),
      ports: [
        { name: "tls", port: 443, targetPort: "tls", protocol: "TCP" },
        { name: "http", port: 80, targetPort: "http", protocol: "TCP" },
      ],
    },
    wanted.annotations,
  );
});

/** Headless: entries dial every ready logic pod by its own address. */
export const logicService = perContext((context: BuildContext): Service => {
  return service(context, "logic", {
    type: "ClusterIP",
    clusterIP: "None",
    publishNotReadyAddresses: false,
    ports: [{ name: "grpc", port: PORT.logicGrpc, targetPort: "grpc", protocol: "TCP" }],
  });
});

/** Where the shop's backends call. */
export const apiService = perContext((context: BuildContext): Service => {
  const hasGrpc = context.cluster.spec.logic.serverApi?.grpc === true;
  return owned(context, "logic", {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: context.names.api },
    spec: {
      type: "ClusterIP",
      ports: [
        { name: "api", port: PORT.api, targetPort: "api", protocol: "TCP" },
        ...(hasGrpc ? [{ name: "api-grpc", port: PORT.apiGrpc, targetPort: "api-grpc", protocol: "TCP" }] : []),
      ],
      selector: selectorLabels(context.cluster.metadata.name, "logic"),
    },
  });
});

export const datastoreService = perContext((context: BuildContext, component: "postgres" | "redis"): Service => {
  const port = PORT[component];
  return service(context, component, {
    type: "ClusterIP",
    ports: [{ name: component, port, targetPort: component, protocol: "TCP" }],
  });
});

// SPDX-License-Identifier: Apache-2.0
// What the page for users shows, as this run applies it. Pure.
import { parseAllDocuments } from "yaml";

/** A CloudNativePG cluster, as far as it is read here. */
export interface DatabaseManifest {
  apiVersion: string;
  kind: "Cluster";
  metadata: { name: string; namespace: string };
  spec: Record<string, unknown> & { instances: number };
}

/** A part of an ImCluster's spec that names the database. */
export interface PostgresPart {
  postgres: { urlSecretRef: { name: string; key: string } };
}

/** Both as a page shows them. */
export interface Shown {
  database: DatabaseManifest;
  part: PostgresPart;
}

const FENCE = /^```yaml\n([\s\S]*?)^```$/gm;
const API = "postgresql.cnpg.io/v1";
/** A volume of the local cluster is a folder. */
const LOCAL_STORAGE = { size: "2Gi" };

/**
 * The one Cluster of CloudNativePG on a page, and the part of an ImCluster that reads its Secret.
 * @throws Error when the page does not show each of them once
 */
export function shownOn(page: string): Shown {
  const documents = [...page.matchAll(FENCE)].flatMap(([, text = ""]) =>
    parseAllDocuments(text).map((document): unknown => document.toJS()),
  );
  const databases = documents.filter(isDatabase);
  const [database] = databases;
  const secret = `${database?.metadata.name}-app`;
  const parts = documents.filter(isPart).filter(({ postgres }) => postgres.urlSecretRef.name === secret);
  const [part] = parts;
  if (!database || !part || databases.length > 1 || parts.length > 1) {
    throw new Error(
      `the page shows ${databases.length} Clusters of ${API}, and ${parts.length} parts with postgres.urlSecretRef of ${secret}; it must be one of each`,
    );
  }
  return { database, part };
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null;

const isDatabase = (document: unknown): document is DatabaseManifest =>
  isObject(document) && document.apiVersion === API && document.kind === "Cluster";

const isPart = (document: unknown): document is PostgresPart =>
  isObject(document) && isObject(document.postgres) && isObject(document.postgres.urlSecretRef);

/** The same, but for what a machine of two cores without a registry cannot have: published images and 200 GiB. */
export function onLocalCluster(shown: DatabaseManifest, namespace: string, image: string): DatabaseManifest {
  const local = { imageName: image, imagePullPolicy: "IfNotPresent", storage: LOCAL_STORAGE };
  return { ...shown, metadata: { ...shown.metadata, namespace }, spec: { ...shown.spec, ...local } };
}

/** A fleet whose only database is the one that is shown. */
export function fleetOn({ part }: Shown, place: { name: string; namespace: string }): object {
  const size = { entry: { replicas: 2 }, logic: { replicas: 2 }, extlogic: { replicas: 1 } };
  return { apiVersion: "imcluster.io/v1alpha1", kind: "ImCluster", metadata: place, spec: { ...size, ...part } };
}

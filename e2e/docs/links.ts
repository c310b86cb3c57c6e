// SPDX-License-Identifier: Apache-2.0
// Links between pages: each leads to a file or folder of the tree, and its fragment to an anchor of that page.
import { dirname, join, normalize } from "node:path/posix";
import type { Link, Page } from "./markdown.ts";

/** What there is in the tree. */
export interface Places {
  readonly pages: ReadonlyMap<string, Page>;
  /** Is there a file or folder? */
  readonly exists: (path: string) => boolean;
}

const SCHEME = /^[a-z][a-z0-9+.-]*:/i;

function problemOf(page: Page, { target }: Link, places: Places): string | undefined {
  if (SCHEME.test(target)) return URL.canParse(target) ? undefined : "no URL";
  if (target.startsWith("/")) return "begins at the root of a server, not of this tree";
  const [file = "", fragment] = target.split("#", 2);
  const path = file === "" ? page.path : normalize(join(dirname(page.path), decodeURIComponent(file)));
  if (path.startsWith("..")) return "leads out of the tree";
  if (!places.exists(path)) return `there is no ${path}`;
  if (fragment === undefined) return undefined;
  const anchors = places.pages.get(path)?.anchors;
  if (anchors === undefined) return `${path} is no page: it has no anchors`;
  return anchors.has(decodeURIComponent(fragment)) ? undefined : `${path} has no anchor #${fragment}`;
}

/** Links that lead nowhere, as `page:line: link: why`. Addresses of the Internet are only read, never asked. */
export function brokenLinks(places: Places): string[] {
  return [...places.pages.values()].flatMap((page) =>
    page.links.flatMap((link) => {
      const problem = problemOf(page, link, places);
      return problem === undefined ? [] : [`${page.path}:${link.line}: ${link.target}: ${problem}`];
    }),
  );
}

/** Pages to which no other page leads, even along several links from these. */
export function unreachable(roots: readonly string[], places: Places): string[] {
  const seen = new Set(roots);
  const open = [...roots];
  for (let path = open.pop(); path !== undefined; path = open.pop()) {
    for (const { target } of places.pages.get(path)?.links ?? []) {
      if (SCHEME.test(target)) continue;
      const to = normalize(join(dirname(path), decodeURIComponent(target.split("#", 1)[0] ?? "")));
      for (const next of [to, join(to, "README.md")]) {
        if (!places.pages.has(next) || seen.has(next)) continue;
        seen.add(next);
        open.push(next);
      }
    }
  }
  return [...places.pages.keys()].filter((path) => !seen.has(path)).sort();
}

// SPDX-License-Identifier: Apache-2.0

const TOP =
  "com|cn|net|org|top|xyz|cc|vip|shop|me|io|co|app|link|site|club|info|biz|tv|ly|gl|ru|hk|tw|jp|uk|us|gd|la|ink|online|store|live|fun|pro|work|wang|icu|url|im|ai|dev|sg|kr|de|to|be";
/** A domain with dots, or with what is written for a dot, or with blanks around it. */
const DOMAIN = new RegExp(
  `(?<![a-z0-9@-])((?:[a-z0-9][a-z0-9-]{0,62}(?: ?\\. ?| ?点 ?| ?\\(dot\\) ?| dot )){1,5}(?:${TOP}))(?![a-z0-9-])`,
  "gu",
);
const DOTTED = / ?(?:\.|点|\(dot\)) ?| dot /g;
const MAX_LINKS = 20;

/** Domains that a normalised text links to, the first 20: `www.a.com`, `a点com`, `a dot com`. */
export function domainsIn(text: string): string[] {
  if (!/[.点]|dot/.test(text)) return [];
  const domains: string[] = [];
  for (const { 1: found } of text.matchAll(DOMAIN)) {
    if (domains.length >= MAX_LINKS) break;
    if (found !== undefined && !isSentence(found)) domains.push(found.replace(DOTTED, "."));
  }
  return domains;
}

/** "... ok. me too": a full stop and a blank is no dot, unless the top level domain is no word. */
function isSentence(found: string): boolean {
  return /\. /.test(found) && !/\. (?:com|cn|net|org|top|xyz|cc|vip)$/.test(found);
}

/** Is the domain, or one that it is below of, in the set? */
export function isBelow(domain: string, domains: ReadonlySet<string>): boolean {
  for (let rest = domain; ; ) {
    if (domains.has(rest)) return true;
    const dot = rest.indexOf(".");
    if (dot < 0) return false;
    rest = rest.slice(dot + 1);
  }
}

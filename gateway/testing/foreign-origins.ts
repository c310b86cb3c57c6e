// SPDX-License-Identifier: Apache-2.0

/** What an entry is asked by, and the origins of other hosts that its configuration allows. */
export const OWN_HOST = "im.example.com";
export const ALLOWED_ORIGINS = ["https://app.example.com", "http://localhost:5173"] as const;

/** Origins that are neither, however similar. */
export const FOREIGN_ORIGINS = [
  "null",
  "",
  "https://evil.example.com",
  "https://app.example.com.evil.com",
  "https://evilapp.example.com",
  "https://app.example.com:444",
  "https://app.example.com/",
  "https://app.example.com/path",
  "http://app.example.com",
  "HTTPS://APP.EXAMPLE.COM",
  "https://app.example.com@evil.com",
  "https://im.example.com.evil.com",
  "https://im.example.com:8443",
  "https://im.example.comevil.com",
  "https://xn--im-example-com-9za.com",
  "https://im\u00adexample.com",
  "file://",
  "chrome-extension://im.example.com",
  "wss://im.example.com",
  "//im.example.com",
  "im.example.com",
  "*",
  "https://*",
  "https://localhost:5173",
  "http://localhost:51730",
  "http://127.0.0.1:5173",
] as const;
